//! Published files: the scrub reads them again and finds foreign changes.

use std::path::Path;

use super::files::alter;
use super::*;

/// The only partial file in this folder of a small log.
pub(super) fn only_file(log: &Path, below: &str) -> PathBuf {
    let files = std::fs::read_dir(log.join(below)).unwrap().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    files.pop().unwrap()
}

pub(super) fn published(scene: &Scene) {
    scene.program.wait_published();
}

/// Changes a published file and asserts that the scrub finds and names it in its turn.
fn is_found(scene: &Scene, cause: &str, place: &str, touch: impl FnOnce()) {
    touch();
    scene.program.wait_for_cause(cause);
    let verbose = scene.program.page("/readyz?verbose").shown();
    assert!(verbose.contains(place), "the place is named: {verbose}");
    scene.refuses(cause);
    scene.stays_closed(cause);
}

#[test]
fn p3_the_scrub_finds_an_altered_published_file() {
    for below in ["tile/0/000.p", "tile/entries/000.p"] {
        let scene = Scene::new();
        published(&scene);
        let path = only_file(&scene.file(""), below);
        let was = std::fs::read(&path).unwrap()[20];
        is_found(&scene, "altered", "tile/", || {
            alter(&path, 20, was ^ 1);
        });
        alter(&path, 20, was);
        scene.comes_back();
        scene.ends_with(&["altered"]);
    }
}

#[test]
fn p3_the_scrub_finds_a_missing_file_or_folder() {
    for name in ["tile/0", "tile/entries/000.p", "checkpoint"] {
        let scene = Scene::new();
        published(&scene);
        let (path, held) = (scene.file(name), scene.home.path("held"));
        is_found(&scene, "unlinked", name, || {
            std::fs::rename(&path, &held).unwrap();
        });
        std::fs::rename(&held, &path).unwrap();
        scene.comes_back();
        scene.ends_with(&["unlinked"]);
    }
}

#[test]
fn p3_the_scrub_finds_an_altered_checkpoint_in_an_idle_log() {
    let scene = Scene::new();
    published(&scene);
    let path = scene.file("checkpoint");
    let bytes = std::fs::read(&path).unwrap();
    is_found(&scene, "altered", "checkpoint", || {
        std::fs::write(&path, b"another").unwrap();
    });
    std::fs::write(&path, &bytes).unwrap();
    scene.comes_back();
    scene.ends_with(&["altered"]);
}
