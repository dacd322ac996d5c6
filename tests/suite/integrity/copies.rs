//! An operator replaces the folder with a copy. If the copy has every record that was acknowledged,
//! the gateway opens the log there without a restart; otherwise, deletions stay refused.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use lychgate::audit::entry::Verdict;

use super::super::mounts::{self, beside, seen_by};
use super::super::users::Manner;
use super::tiles::{only_file, published};
use super::*;
use crate::support::folder::{files_below, remove};
use crate::support::trail;

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(status.unwrap().success());
}

fn flip(path: &Path, place: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let (file, mut byte) = (file.unwrap(), [0]);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
}

/// Every file below a folder with its content, except the lock, which names its holder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = files_below(folder);
    files.retain(|path| *path != folder.join("lock"));
    files.sort();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path, bytes)
    };
    files.into_iter().map(read).collect()
}

/// The explanation of the refusals.
fn verbose(scene: &Scene) -> String {
    scene.program.page("/readyz?verbose").shown()
}

/// Moves the file or folder away and asserts that the next deletion is refused.
fn move_away(scene: &Scene, name: &str) -> (PathBuf, PathBuf) {
    let (path, held) = (scene.file(name), scene.home.path("held"));
    std::fs::rename(&path, &held).unwrap();
    scene.refuses("folder-moved");
    (path, held)
}

#[test]
fn p3_the_log_is_opened_again_in_a_copy_without_a_restart() {
    for name in ["", "journal"] {
        let scene = Scene::new();
        published(&scene);
        let (path, held) = move_away(&scene, name);
        copy(&held, &path);
        scene.comes_back();
        published(&scene);
        let left = contents(&held);
        assert_eq!(delete(scene.program.address, 3_000).status, 200);
        scene.users.take_seen();
        published(&scene);
        assert_eq!(contents(&held), left, "nothing more is written there");
        std::fs::remove_dir_all(&held).unwrap();
        let record = scene.home.record();
        for user in [1_000, 2_000, 3_000] {
            assert_eq!(record.closed(user).1, Verdict::Deleted);
        }
        let (whole, output) = trail::verify(&scene.home.audit());
        assert!(whole, "{output}");
        assert!(scene.program.takes_deletions());
        assert_eq!(scene.ends_with(&["folder-moved"]), 1);
    }
}

#[test]
fn p3_a_copy_is_opened_after_the_held_folder_was_removed() {
    let scene = Scene::new();
    published(&scene);
    let (path, kept) = (scene.file(""), scene.home.path("kept"));
    copy(&path, &kept);
    remove(&path);
    scene.program.wait_for_cause("folder-moved");
    scene.refuses("folder-moved");
    std::fs::rename(&kept, &path).unwrap();
    scene.comes_back();
    scene.ends_with(&["folder-moved"]);
}

#[test]
fn p3_a_copy_that_is_mounted_from_another_disk_is_opened() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    if !mounts::can_be_used(&home) {
        return;
    }
    std::fs::create_dir(home.path("disk")).unwrap();
    let program = mounts::start(&home, "mount -t tmpfs tmpfs \"$1/../disk\"");
    program.wait_ready();
    let scene = Scene::of(users, home, program);
    published(&scene);
    let there = "cp -a \"$1\" \"$1/../disk/copy\" && mount --bind \"$1/../disk/copy\" \"$1\"";
    beside(&scene.program, &scene.home, there);
    scene.program.wait_for_cause("folder-moved");
    scene.comes_back();
    let record = scene.home.record_at(&seen_by(&scene.program, &scene.home));
    for user in [1_000, 2_000] {
        assert_eq!(record.closed(user).1, Verdict::Deleted);
    }
    assert!(scene.program.stop().0.success());
}

#[test]
fn p2_deletions_in_flight_are_closed_once_in_the_copy() {
    let scene = Scene::new();
    published(&scene);
    scene.users.behave(Manner::Hang);
    let address = scene.program.address;
    let callers: Vec<_> = [11, 12]
        .map(|user| std::thread::spawn(move || delete(address, user)))
        .into_iter()
        .collect();
    until("upstream has both", || scene.users.seen_count() == 2);
    scene.users.take_seen();
    // A copy taken while the publisher writes may lack a file.
    published(&scene);
    let (path, held) = (scene.file(""), scene.home.path("held"));
    std::fs::rename(&path, &held).unwrap();
    scene.program.wait_for_cause("folder-moved");
    scene.users.behave(Manner::Answer(Duration::ZERO));
    for caller in callers {
        let (code, sent, _) = refusal(&caller.join().unwrap());
        assert_eq!((&*code, &*sent), ("deletion-unconfirmed", "yes"));
    }
    scene.users.take_seen();
    copy(&held, &path);
    scene.comes_back();
    let record = scene.home.record();
    for user in [11, 12] {
        let (closed, verdict) = record.closed(user);
        assert_eq!((verdict, closed.status), (Verdict::Deleted, Some(200)));
    }
    assert_eq!(scene.home.record_at(&held).summary.open, 2);
    scene.ends_with(&["folder-moved"]);
}

#[test]
fn p4_a_copy_with_an_altered_record_stays_closed() {
    let scene = Scene::new();
    published(&scene);
    let (path, held) = move_away(&scene, "");
    let passing = scene.home.path("passing");
    let bundle = only_file(&held, "tile/entries/000.p");
    let bundle = bundle.strip_prefix(&held).unwrap().to_owned();
    let tile = only_file(&held, "tile/0/000.p");
    let tile = tile.strip_prefix(&held).unwrap().to_owned();
    let places = [
        (Path::new("journal/0000000001"), 300, "0000000001, offset 0"),
        (&bundle, 300, "tile/entries/000.p"),
        (&tile, 3, "tile/0/000.p"),
        (Path::new("checkpoint"), 3, "checkpoint"),
        (Path::new("verifier"), 3, "verifier"),
    ];
    for (name, place, said) in places {
        copy(&held, &passing);
        flip(&passing.join(name), place);
        std::fs::rename(&passing, &path).unwrap();
        let before = contents(&path);
        scene.stays_closed("folder-moved");
        assert!(
            verbose(&scene).contains(said),
            "{said}: {}",
            verbose(&scene)
        );
        assert_eq!(contents(&path), before, "nothing is written there");
        remove(&path);
    }
    std::fs::rename(&held, &path).unwrap();
    scene.comes_back();
    scene.ends_with(&["folder-moved"]);
}

#[test]
fn p4_a_copy_without_the_last_deletion_stays_closed() {
    let scene = Scene::new();
    published(&scene);
    let old = scene.home.path("old");
    copy(&scene.file(""), &old);
    assert_eq!(delete(scene.program.address, 1_001).status, 200);
    scene.users.take_seen();
    published(&scene);
    let (path, held) = move_away(&scene, "");
    std::fs::rename(&old, &path).unwrap();
    until("it names the missing record", || {
        verbose(&scene).contains("the last record that was answered for is missing")
    });
    scene.stays_closed("folder-moved");
    assert!(verbose(&scene).contains("segment 0000000001"));
    remove(&path);
    std::fs::rename(&held, &path).unwrap();
    scene.comes_back();
    scene.ends_with(&["folder-moved"]);
}

#[test]
fn p3_a_copy_waits_until_another_process_frees_its_lock() {
    let scene = Scene::new();
    published(&scene);
    let (path, held) = move_away(&scene, "");
    let passing = scene.home.path("passing");
    copy(&held, &passing);
    let lock = std::fs::File::open(passing.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::fs::rename(&passing, &path).unwrap();
    scene.stays_closed("folder-moved");
    assert!(
        verbose(&scene).contains("another process"),
        "{}",
        verbose(&scene)
    );
    drop(lock);
    scene.comes_back();
    // The gateway holds both locks now, so a second gateway finds the copy locked.
    let lock = std::fs::File::open(path.join("lock")).unwrap();
    let how = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    assert!(rustix::fs::flock(&lock, how).is_err());
    // The lock of the old folder is free.
    let lock = std::fs::File::open(held.join("lock")).unwrap();
    rustix::fs::flock(&lock, how).unwrap();
    drop(lock);
    until("commands reach the gateway there", || {
        UnixStream::connect(path.join("control.sock")).is_ok()
    });
    assert!(!held.join("control.sock").exists());
    scene.ends_with(&["folder-moved"]);
}
