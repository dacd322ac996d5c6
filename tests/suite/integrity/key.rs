//! The signing key becomes missing, unreadable, invalid, or another log's. The keys were valid at
//! the start, because the gateway refuses a config with an unusable key.

use std::path::Path;

use super::super::program::ORIGIN;
use super::*;
use crate::support::trail;

/// Creates an unusable key at the path, which does not exist.
type Spoil = fn(&Path);

const SPOILT: [(&str, Spoil); 4] = [
    ("gone", |_| {}),
    // Root can read a file of any mode, but not a folder.
    ("unreadable", |path| std::fs::create_dir(path).unwrap()),
    ("no key", |path| std::fs::write(path, "a key\n").unwrap()),
    ("of another log", |path| {
        trail::keygen("lychgate.test/another", path);
    }),
];

/// Removes the unusable key and restores the original.
fn restore(path: &Path, held: &Path) {
    if path.is_dir() {
        std::fs::remove_dir(path).unwrap();
    }
    std::fs::rename(held, path).unwrap();
}

#[test]
fn p3_an_unusable_key_stops_deletions_until_it_is_back() {
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
fn p4_another_key_of_the_same_name_cannot_continue_the_log() {
    let Scene {
        users,
        home,
        program: first,
    } = Scene::new();
    assert!(first.stop().0.success());
    let (path, held) = (home.path("audit.key"), home.path("held"));
    std::fs::rename(&path, &held).unwrap();
    let verifier = trail::keygen(ORIGIN, &path);
    let scene = Scene {
        program: home.start(),
        users,
        home,
    };
    scene.program.wait_for_cause("key-unusable");
    scene.refuses("key-unusable");
    let verbose = scene.program.page("/readyz?verbose").shown();
    let of_folder = std::fs::read_to_string(scene.file("verifier")).unwrap();
    let told = format!(
        "belongs to another key: its `verifier` is {}, and that of {} is {verifier}",
        of_folder.trim_end(),
        path.display()
    );
    assert!(verbose.contains(&told), "{told}: {verbose}");
    let before = std::fs::read(scene.file("checkpoint")).unwrap();
    scene.stays_closed("key-unusable");
    let after = std::fs::read(scene.file("checkpoint")).unwrap();
    assert_eq!(before, after, "it has signed nothing");
    restore(&path, &held);
    scene.comes_back();
    scene.ends_having(&[("key-unusable", "ended")]);
}
