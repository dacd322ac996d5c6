//! What is published is watched: an old file that is touched is found, on a log of any size.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::super::callers::{Load, deletion};
use super::super::mounts::{self, beside};
use super::tiles::published;
use super::*;
use crate::support::tokens;

/// Deletions enough for two full bundles and their tiles, and a partial one behind.
const DELETIONS: usize = 300;

fn grown() -> Scene {
    grow(Scene::new())
}

/// Gives it a log with full files and partial ones, all of it under a checkpoint.
fn grow(scene: Scene) -> Scene {
    let (users, token) = (Arc::new(AtomicU64::new(10_000)), tokens::good_token());
    let load = Load::start(scene.program.address, 8, &users, move |user| {
        deletion(user, &token)
    });
    until("the log has grown", || load.answered() >= DELETIONS);
    assert!(load.end().iter().all(|call| call.answer.is_some()));
    published(&scene);
    for full in ["tile/0/001", "tile/entries/001", "tile/1/000.p/2"] {
        assert!(scene.file(full).exists(), "{full}");
    }
    assert!(!scene.file("tile/0/002").exists());
    scene.users.take_seen();
    scene
}

/// Touches the log; deletions come to be refused with the cause, and the file is named.
fn touched(scene: &Scene, path: &str, cause: &str, touch: impl FnOnce(&Path)) {
    touch(&scene.file(path));
    until(cause, || !scene.program.takes_deletions());
    scene.refuses_once(cause);
    let verbose = scene.program.page("/readyz?verbose").shown();
    assert!(verbose.contains(path), "the place is named: {verbose}");
    scene.says(cause);
}

/// Deletions are taken again once the file is back.
fn back(scene: &Scene, put_back: impl FnOnce()) {
    put_back();
    scene.comes_back();
    published(scene);
}

fn flip(path: &Path, place: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let (file, mut byte) = (file.unwrap(), [0]);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

#[test]
fn p3_an_old_file_that_is_altered_in_place_is_found() {
    let scene = grown();
    let files = ["tile/entries/000", "tile/0/001", "tile/1/000.p/2"];
    for path in files {
        let middle = std::fs::metadata(scene.file(path)).unwrap().len() / 2 - 3;
        touched(&scene, path, "altered", |file| flip(file, middle));
        back(&scene, || flip(&scene.file(path), middle));
    }
    scene.ends_with(&["altered"; 3]);
}

#[test]
fn p3_an_old_file_that_is_gone_is_found() {
    let scene = grown();
    let held = scene.home.path("held");
    for path in ["tile/0/000", "tile/entries/001"] {
        let file = scene.file(path);
        let bytes = std::fs::read(&file).unwrap();
        touched(&scene, path, "unlinked", |file| {
            std::fs::remove_file(file).unwrap();
        });
        scene.stays_closed("unlinked");
        back(&scene, || std::fs::write(&file, &bytes).unwrap());
        touched(&scene, path, "unlinked", |file| {
            std::fs::rename(file, &held).unwrap();
        });
        back(&scene, || std::fs::rename(&held, &file).unwrap());
    }
    scene.ends_with(&["unlinked"; 4]);
}

#[test]
fn p3_an_old_file_that_is_cut_is_found() {
    let scene = grown();
    for path in ["tile/entries/000", "tile/0/000"] {
        let bytes = std::fs::read(scene.file(path)).unwrap();
        touched(&scene, path, "truncated", |file| {
            let file = OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(bytes.len() as u64 / 2).unwrap();
        });
        back(&scene, || std::fs::write(scene.file(path), &bytes).unwrap());
    }
    scene.ends_with(&["truncated"; 2]);
}

#[test]
fn p3_an_old_file_that_another_is_moved_over_is_found() {
    let scene = grown();
    let other = scene.home.path("other");
    for path in ["tile/entries/001", "tile/0/001"] {
        let bytes = std::fs::read(scene.file(path)).unwrap();
        std::fs::write(&other, &bytes).unwrap();
        flip(&other, 40);
        touched(&scene, path, "altered", |file| {
            std::fs::rename(&other, file).unwrap();
        });
        // Another file that holds the same is as good.
        std::fs::write(&other, &bytes).unwrap();
        back(&scene, || {
            std::fs::rename(&other, scene.file(path)).unwrap();
        });
    }
    scene.ends_with(&["altered"; 2]);
}

#[test]
fn p3_a_folder_of_the_log_that_is_moved_or_swapped_is_found() {
    let scene = grown();
    let held = scene.home.path("held");
    for path in ["tile", "tile/0"] {
        let folder = scene.file(path);
        touched(&scene, path, "folder-moved", |folder| {
            std::fs::rename(folder, &held).unwrap();
        });
        back(&scene, || std::fs::rename(&held, &folder).unwrap());
        touched(&scene, path, "folder-moved", |folder| {
            std::fs::rename(folder, &held).unwrap();
            std::fs::create_dir(folder).unwrap();
        });
        scene.stays_closed("folder-moved");
        // A copy is judged file by file, and is as good.
        back(&scene, || {
            std::fs::remove_dir(&folder).unwrap();
            let copied = Command::new("cp").arg("-r").args([&held, &folder]).status();
            assert!(copied.unwrap().success());
        });
        std::fs::remove_dir_all(&held).unwrap();
        // And watched as what stood there before.
        touched(&scene, "tile/0/000", "altered", |file| flip(file, 40));
        back(&scene, || flip(&scene.file("tile/0/000"), 40));
    }
    let one = ["folder-moved", "folder-moved", "altered"];
    scene.ends_with(&[one, one].concat());
}

#[test]
fn p3_a_folder_that_had_another_name_for_a_while_is_watched_on() {
    let scene = grown();
    let (folder, other) = (scene.file("tile/entries"), scene.file("tile/entries.bak"));
    for _ in 0..3 {
        touched(&scene, "tile/entries", "folder-moved", |_| {
            std::fs::rename(&folder, &other).unwrap();
        });
        back(&scene, || std::fs::rename(&other, &folder).unwrap());
        touched(&scene, "tile/entries/000", "altered", |file| flip(file, 40));
        back(&scene, || flip(&scene.file("tile/entries/000"), 40));
    }
    scene.ends_with(&["folder-moved", "altered"].repeat(3));
}

#[test]
fn p3_a_folder_of_the_log_that_is_mounted_over_is_found() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    if !mounts::can_be_used(&home) {
        return;
    }
    let program = mounts::start(&home, "");
    program.wait_ready();
    let scene = grow(Scene::of(users, home, program));
    for path in ["tile", "tile/0"] {
        let mount = |command: &str| {
            beside(
                &scene.program,
                &scene.home,
                &format!("{command} \"$1/{path}\""),
            );
        };
        mount("mount -t tmpfs tmpfs");
        until("it is found", || !scene.program.takes_deletions());
        let (code, sent, cause) = refusal(&delete(scene.program.address, 1));
        assert_eq!((&*code, &*sent), ("audit-unavailable", "no"));
        // Who judges first meets the folder, or a file that is missing in it.
        assert!(["folder-moved", "unlinked"].contains(&&*cause), "{cause}");
        back(&scene, || mount("umount"));
    }
}

#[test]
fn p3_a_checkpoint_that_is_altered_in_an_idle_log_is_found() {
    let scene = Scene::new();
    published(&scene);
    let bytes = std::fs::read(scene.file("checkpoint")).unwrap();
    touched(&scene, "checkpoint", "altered", |file| {
        std::fs::write(file, b"another").unwrap();
    });
    scene.stays_closed("altered");
    back(&scene, || {
        std::fs::write(scene.file("checkpoint"), &bytes).unwrap();
    });
    scene.ends_with(&["altered"]);
}

#[test]
fn where_the_kernel_watches_nothing_or_not_all_that_is_said_once_and_deletions_are_taken() {
    for (limit, said) in [
        (
            "max_inotify_instances = 0",
            "the log's folders are not watched",
        ),
        (
            "max_inotify_watches = 3",
            "not all folders of the log are watched",
        ),
    ] {
        let (name, most) = limit.split_once(" = ").unwrap();
        let script = format!("echo {most} > /proc/sys/user/{name} && exec \"$@\"");
        let limited = || {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "sh", "-c", &script, "sh"]);
            command
        };
        if !limited().arg("true").status().is_ok_and(|s| s.success()) {
            eprintln!("skipped: there is no namespace with limits of its own here");
            return;
        }
        let users = Users::start();
        let home = Home::new(users.address(), &[]);
        let (mut command, gateway) = (limited(), home.command());
        command.arg(gateway.get_program()).args(gateway.get_args());
        let program = home.spawn(command);
        program.wait_ready();
        let scene = grow(Scene::of(users, home, program));
        let log = scene.program.log();
        assert_eq!(log.matches(said).count(), 1, "{said}: {log}");
        assert_eq!(log.matches("watched").count(), 1, "{log}");
        scene.ends_with(&[]);
    }
}

#[test]
fn the_publishers_own_files_are_no_alarm_under_load() {
    let scene = Scene::new();
    let (users, token) = (Arc::new(AtomicU64::new(10_000)), tokens::good_token());
    let load = Load::start(scene.program.address, 32, &users, move |user| {
        deletion(user, &token)
    });
    until("there was load", || load.answered() > 1_000);
    let calls = load.end();
    for call in &calls {
        let answer = call.answer.as_ref().expect("answered");
        assert_eq!(answer.status, 200, "{}", answer.shown());
    }
    published(&scene);
    // What was published last is judged, too.
    std::thread::sleep(Duration::from_secs(1));
    assert!(scene.program.takes_deletions());
    scene.ends_with(&[]);
}
