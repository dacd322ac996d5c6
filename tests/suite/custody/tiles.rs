//! What is published: nobody reads it again but whoever scrubs, at 4 MiB a second.

use std::path::Path;

use super::*;

/// The one partial file of a small log below this folder of it.
pub(super) fn only_file(log: &Path, below: &str) -> PathBuf {
    let files = std::fs::read_dir(log.join(below)).unwrap().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    files.pop().unwrap()
}

pub(super) fn published(scene: &Scene) {
    until("all is published", || {
        let published = scene.program.metric("lychgate_audit_checkpoint_entries");
        published > 0 && published == scene.program.metric("lychgate_audit_entries_total")
    });
}

#[test]
fn p3_a_tile_or_bundle_that_is_altered_or_gone_is_found_by_the_scrub() {
    for (below, cause) in [
        ("tile/0/000.p", "altered"),
        ("tile/entries/000.p", "altered"),
        ("tile/entries/000.p", "unlinked"),
    ] {
        let scene = Scene::new();
        published(&scene);
        let path = only_file(&scene.file(""), below);
        let bytes = std::fs::read(&path).unwrap();
        if cause == "unlinked" {
            std::fs::remove_file(&path).unwrap();
        } else {
            let mut other = bytes.clone();
            other[20] ^= 1;
            std::fs::write(&path, other).unwrap();
        }
        scene.program.wait_for_cause(cause);
        let verbose = scene.program.page("/readyz?verbose").shown();
        assert!(verbose.contains("tile/"), "the place is named: {verbose}");
        scene.refuses(cause);
        scene.stays_closed(cause);
        std::fs::write(&path, bytes).unwrap();
        scene.comes_back();
        scene.ends_with(&[cause]);
    }
}

#[test]
fn p3_a_checkpoint_that_is_altered_refuses_deletions_until_it_is_back() {
    let scene = Scene::new();
    published(&scene);
    let path = scene.file("checkpoint");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"another").unwrap();
    scene.program.wait_for_cause("altered");
    scene.refuses("altered");
    std::fs::write(&path, bytes).unwrap();
    scene.comes_back();
    scene.ends_with(&["altered"]);
}
