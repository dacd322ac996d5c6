//! What is published, where nobody tells that it was touched: it is found when its turn comes.

use std::path::Path;

use super::files::alter;
use super::*;

/// The one partial file of a small log below this folder of it.
pub(super) fn only_file(log: &Path, below: &str) -> PathBuf {
    let files = std::fs::read_dir(log.join(below)).unwrap().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    files.pop().unwrap()
}

pub(super) fn published(scene: &Scene) {
    scene.program.wait_published();
}

#[test]
fn p3_a_file_that_is_altered_by_another_name_is_found_by_the_scrub() {
    for below in ["tile/0/000.p", "tile/entries/000.p"] {
        let scene = Scene::new();
        published(&scene);
        // The kernel tells who watches the folder of the name that was used, and nobody else.
        let (path, other) = (only_file(&scene.file(""), below), scene.home.path("other"));
        std::fs::hard_link(&path, &other).unwrap();
        let was = std::fs::read(&path).unwrap()[20];
        alter(&other, 20, was ^ 1);
        scene.program.wait_for_cause("altered");
        let verbose = scene.program.page("/readyz?verbose").shown();
        assert!(verbose.contains("tile/"), "the place is named: {verbose}");
        scene.refuses("altered");
        scene.stays_closed("altered");
        alter(&other, 20, was);
        scene.comes_back();
        scene.ends_with(&["altered"]);
    }
}
