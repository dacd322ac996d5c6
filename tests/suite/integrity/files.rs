//! Changes to the trail's files: unlinked, replaced, truncated, altered, read-only.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::support::folder::Folder;

/// Overwrites a byte in place and returns the old one.
pub(super) fn alter(path: &Path, place: u64, byte: u8) -> u8 {
    let mut file = OpenOptions::new();
    let file = file.read(true).write(true).open(path).unwrap();
    let mut was = [0];
    file.read_exact_at(&mut was, place).unwrap();
    file.write_all_at(&[byte], place).unwrap();
    was[0]
}

#[test]
fn p3_an_unlinked_file_stops_deletions_until_it_is_back() {
    for name in ["journal/0000000001", "lock", "verifier"] {
        let scene = Scene::new();
        let (path, held) = (scene.file(name), scene.home.path("held"));
        std::fs::rename(&path, &held).unwrap();
        scene.refuses("unlinked");
        scene.stays_closed("unlinked");
        std::fs::rename(&held, &path).unwrap();
        scene.comes_back();
        assert_eq!(scene.ends_with(&["unlinked"]), 2);
    }
}

#[test]
fn p3_a_replaced_file_stops_deletions_until_it_is_back() {
    let scene = Scene::new();
    let (path, beside) = (scene.segment(), scene.home.path("beside"));
    let bytes = std::fs::read(&path).unwrap();
    let mut other = bytes.clone();
    other[300] ^= 1;
    // A rename replaces the file, so that the name exists at every moment.
    std::fs::write(&beside, other).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    scene.refuses("replaced");
    scene.stays_closed("replaced");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(&beside, &path).unwrap();
    scene.comes_back();
    scene.ends_with(&["replaced"]);
}

#[test]
fn p3_a_truncated_file_stops_deletions_until_it_is_whole() {
    for name in ["journal/0000000001", "lock", "verifier"] {
        let scene = Scene::new();
        let path = scene.file(name);
        let bytes = std::fs::read(&path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(bytes.len() as u64 / 2).unwrap();
        scene.refuses("truncated");
        file.write_all_at(&bytes, 0).unwrap();
        scene.comes_back();
        scene.ends_with(&["truncated"]);
    }
}

#[test]
fn p3_an_altered_byte_stops_deletions_until_it_is_restored() {
    // In the first batch, in the lock, in the verifier, and in the unwritten part of the segment.
    let places = [
        ("journal/0000000001", 300),
        ("journal/0000000001", 500_000),
        ("lock", 3),
        ("verifier", 3),
        ("journal/0000000002", 1_000_000),
    ];
    for (name, place) in places {
        let scene = Scene::new();
        let path = scene.file(name);
        until("the spare is made", || path.exists());
        let was = alter(&path, place, b'?');
        // The gateway checks the spare only periodically.
        scene.program.wait_for_cause("altered");
        scene.refuses("altered");
        scene.stays_closed("altered");
        alter(&path, place, was);
        scene.comes_back();
        scene.ends_with(&["altered"]);
    }
}

#[test]
fn p3_a_read_only_trail_refuses_deletions() {
    for name in ["", "journal"] {
        let scene = Scene::new();
        let path = scene.file(name);
        let mode = std::fs::metadata(&path).unwrap().permissions();
        std::fs::set_permissions(&path, Permissions::from_mode(0o550)).unwrap();
        scene.refuses("read-only");
        std::fs::set_permissions(&path, mode).unwrap();
        scene.comes_back();
        scene.ends_with(&["read-only"]);
    }
    // A single read-only file: only the deletion that uses it is refused, and the gateway starts
    // another segment.
    let scene = Scene::new();
    std::fs::set_permissions(scene.segment(), Permissions::from_mode(0o440)).unwrap();
    scene.refuses_once("read-only");
    scene.comes_back();
    scene.ends_with(&["read-only"]);
}

#[test]
fn p3_an_immutable_file_stops_one_deletion_a_folder_all() {
    // On tmpfs, an open file stays writable in spite of the flag, so this test needs a real disk.
    let users = Users::start();
    let home = Home::new_in(Folder::on_disk(), users.address(), &[]);
    let program = home.start_ready();
    let scene = Scene::of(users, home, program);
    let chattr = |how: &str, name: &str| {
        let status = Command::new("chattr")
            .arg(how)
            .arg(scene.file(name))
            .status();
        status.is_ok_and(|status| status.success())
    };
    let spare = scene.file("journal/0000000002");
    until("the spare is there", || spare.exists());
    if !chattr("+i", "journal") {
        eprintln!("skipped: chattr +i does not work here");
        return;
    }
    assert!(chattr("+i", "journal/0000000001"));
    scene.refuses_once("read-only");
    // The spare replaces the segment, so deletions resume for a moment; then the gateway cannot
    // create the next segment.
    until("no other can be made", || {
        let verbose = scene.program.page("/readyz?verbose").shown();
        verbose.contains("cannot make the next segment")
    });
    scene.refuses("read-only");
    scene.stays_closed("read-only");
    assert!(chattr("-i", "journal"));
    // The immutable segment stays unchanged, and the gateway uses another.
    scene.comes_back();
    assert!(chattr("-i", "journal/0000000001"));
    // First the outage of the file, which the spare segment ends, and then the outage of the
    // folder.
    scene.ends_with(&["read-only", "read-only"]);
}

#[test]
fn a_backup_by_hard_links_causes_a_note_and_no_outage() {
    let scene = Scene::new();
    std::fs::hard_link(scene.segment(), scene.home.path("backup")).unwrap();
    std::fs::hard_link(scene.file("verifier"), scene.home.path("verifier")).unwrap();
    assert_eq!(delete(scene.program.address, 3_000).status, 200);
    assert!(scene.program.takes_deletions());
    until("it is noted", || {
        scene.program.log().contains("a hard link")
    });
    scene.ends_with(&[]);
}

#[test]
fn p3_files_of_other_programs_cause_no_outage() {
    let scene = Scene::new();
    let others = [
        ".DS_Store",
        "#checkpoint#",
        "lost+found/",
        "journal/.0000000001.swp",
        "journal/lost+found/",
        "tile/0/000~",
        "tile/entries/.DS_Store",
        "tile/lost+found/",
        "tmp/.DS_Store",
        "tmp/lost+found/",
    ];
    for name in others {
        let path = scene.file(name);
        match name.ends_with('/') {
            true => std::fs::create_dir(&path).unwrap(),
            false => std::fs::write(&path, b"other").unwrap(),
        }
        // Like `lost+found` of a file system of its own: only root may read it.
        let mode = Permissions::from_mode(if name.ends_with('/') { 0o700 } else { 0o600 });
        std::fs::set_permissions(&path, mode).unwrap();
    }
    assert_eq!(delete(scene.program.address, 2_001).status, 200);
    let (status, log) = scene.program.stop();
    assert!(status.success(), "{status}\n{log}");
    let program = scene.home.start_ready();
    assert_eq!(delete(program.address, 2_002).status, 200);
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");

    let record = scene.home.record();
    assert_eq!(record.summary.other_files.count, others.len() as u64);
    let is_trouble = |entry: &lychgate::audit::entry::Entry| matches!(entry.kind, Kind::Trouble(_));
    assert!(!record.entries.iter().any(is_trouble));
    let mut verify = crate::support::trail::lychgate();
    verify
        .args(["audit", "verify", "--dir"])
        .arg(scene.home.audit());
    let output = verify.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("files of other programs"), "{said}");
    assert!(said.contains("tile/lost+found"), "{said}");
}

#[test]
fn the_gateway_recognizes_all_of_its_own_files() {
    let Scene {
        users: _users,
        home,
        program,
    } = Scene::new();
    // The next start creates a segment and removes the previous one.
    assert!(program.stop().0.success());
    let program = home.start_ready();
    assert_eq!(delete(program.address, 2_001).status, 200);
    for name in ["control.sock", "reserve", "journal/floor"] {
        until(name, || home.audit().join(name).exists());
    }
    let others = crate::support::trail::other_files(&home.audit());
    assert_eq!(others["count"], 0, "{others}");
    assert!(program.stop().0.success());
}
