//! Changes to the trail's folders: moved, swapped, mounted over.

use std::path::PathBuf;

use super::super::mounts::{self, beside};
use super::*;
use crate::support::folder::remove;

#[test]
fn p3_a_moved_folder_stops_deletions_until_it_is_back() {
    for name in ["", "journal"] {
        for place in ["nothing", "a folder", "a file"] {
            let scene = Scene::new();
            // Without the trailing `/` that an empty name leaves: a file may take this place.
            let path: PathBuf = scene.file(name).components().collect();
            let held = scene.home.path("held");
            std::fs::rename(&path, &held).unwrap();
            match place {
                "nothing" => {}
                "a folder" => std::fs::create_dir(&path).unwrap(),
                _ => std::fs::write(&path, "").unwrap(),
            }
            scene.refuses("folder-moved");
            scene.stays_closed("folder-moved");
            let held_name = if name.is_empty() {
                "the trail's folder"
            } else {
                "`journal`"
            };
            let what = match place {
                "nothing" => "no folder",
                _ => "another folder or file",
            };
            let told = format!("{what} is in the place of {held_name}");
            let verbose = scene.program.page("/readyz?verbose").shown();
            assert!(verbose.contains(&told), "{told}: {verbose}");
            match place {
                "nothing" => {}
                "a folder" => {
                    let left: Vec<_> = std::fs::read_dir(&path).unwrap().collect();
                    assert!(left.is_empty(), "nothing is written there: {left:?}");
                    std::fs::remove_dir(&path).unwrap();
                }
                _ => std::fs::remove_file(&path).unwrap(),
            }
            std::fs::rename(&held, &path).unwrap();
            scene.comes_back();
            scene.ends_with(&["folder-moved"]);
        }
    }
}

#[test]
fn p3_a_mount_over_a_folder_stops_deletions_while_it_lasts() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    if !mounts::can_be_used(&home) {
        return;
    }
    let program = mounts::start(&home, "");
    program.wait_ready();
    let scene = Scene::of(users, home, program);
    std::fs::create_dir(scene.home.path("other")).unwrap();
    for mount in [
        "mount --bind \"$1/../other\" \"$1\"",
        "mount --bind \"$1/../other\" \"$1/journal\"",
        "mount -t tmpfs tmpfs \"$1\"",
    ] {
        beside(&scene.program, &scene.home, mount);
        scene.refuses("folder-moved");
        let at = if mount.ends_with("journal\"") {
            "/journal"
        } else {
            ""
        };
        beside(&scene.program, &scene.home, &format!("umount \"$1{at}\""));
        scene.comes_back();
    }
    scene.ends_with(&["folder-moved"; 3]);
}

#[test]
fn p3_the_folder_of_temporary_files_is_created_again() {
    let scene = Scene::new();
    tiles::published(&scene);
    let passing = scene.file("tmp");
    remove(&passing);
    assert_eq!(delete(scene.program.address, 1_001).status, 200);
    tiles::published(&scene);
    assert!(passing.is_dir());
}
