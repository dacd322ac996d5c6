//! The signing key: gone, not readable, not a key, or not this log's. A config whose key does not read
//! is refused at the start; these keys were good when it was read.

use std::path::Path;

use super::super::program::ORIGIN;
use super::*;
use crate::support::trail;

/// Puts something in the key's place, which is free.
type Spoil = fn(&Path);

const SPOILT: [(&str, Spoil); 4] = [
    ("gone", |_| {}),
    // To root no file is unreadable by its mode, but a folder is.
    ("unreadable", |path| std::fs::create_dir(path).unwrap()),
    ("no key", |path| std::fs::write(path, "a key\n").unwrap()),
    ("of another log", |path| {
        trail::keygen("lychgate.test/another", path);
    }),
];

/// Takes away what is there, and puts the key back.
fn restore(path: &Path, held: &Path) {
    if path.is_dir() {
        std::fs::remove_dir(path).unwrap();
    }
    std::fs::rename(held, path).unwrap();
}

#[test]
fn p3_a_key_that_is_of_no_use_refuses_deletions_until_the_right_one_is_back() {
    for (what, spoil) in SPOILT {
        eprintln!("the key is {what}");
        let Scene {
            users,
            home,
            program: first,
        } = Scene::new();
        let program = home.start();
        program.wait_for_cause("locked");
        let (path, held) = (home.path("audit.key"), home.path("held"));
        std::fs::rename(&path, &held).unwrap();
        spoil(&path);
        program.wait_for_cause("key-unusable");
        assert!(first.stop().0.success());
        let scene = Scene {
            users,
            home,
            program,
        };
        scene.refuses("key-unusable");
        restore(&path, &held);
        scene.comes_back();
        assert_eq!(scene.ends_having(&[("key-unusable", "ended")]), 1);
    }
}

#[test]
fn p4_another_key_of_the_same_name_cannot_go_on_with_the_log() {
    let Scene {
        users,
        home,
        program: first,
    } = Scene::new();
    assert!(first.stop().0.success());
    let (path, held) = (home.path("audit.key"), home.path("held"));
    std::fs::rename(&path, &held).unwrap();
    trail::keygen(ORIGIN, &path);
    let scene = Scene {
        program: home.start(),
        users,
        home,
    };
    scene.program.wait_for_cause("key-unusable");
    scene.refuses("key-unusable");
    let verbose = scene.program.page("/readyz?verbose").shown();
    assert!(verbose.contains("belongs to another key"), "{verbose}");
    let before = std::fs::read(scene.file("checkpoint")).unwrap();
    scene.stays_closed("key-unusable");
    let after = std::fs::read(scene.file("checkpoint")).unwrap();
    assert_eq!(before, after, "it has signed nothing");
    restore(&path, &held);
    scene.comes_back();
    scene.ends_having(&[("key-unusable", "ended")]);
}
