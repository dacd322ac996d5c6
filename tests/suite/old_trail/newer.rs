//! The gateway refuses a trail of a newer format, names the format, and leaves the trail unchanged.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::callers::{delete, get, refusal};
use super::super::program::{Home, until};
use super::super::users::Users;
use super::logs::{SECOND, audit, said};
use crate::support::trail;

const BLOCK: usize = 4_096;
const HEAD: &[u8] = b"LYCHGJ\x00\x02in a form that nobody knows yet";
const ADVICE: &str =
    "has format version 2, and this program reads version 1: run the newer program that wrote it";

/// A trail with one recorded deletion, after an orderly stop.
fn left(users: &Users) -> Home {
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    assert_eq!(delete(program.address, 1).status, 200);
    let spare = home.audit().join("journal/0000000002");
    until("the spare is made", || spare.exists());
    assert!(program.stop().0.success());
    home
}

fn write(path: &Path, bytes: &[u8], offset: usize) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, offset as u64).unwrap();
}

/// The offset of the next batch.
fn end(segment: &Path) -> usize {
    let bytes = std::fs::read(segment).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    (last + 1).next_multiple_of(BLOCK)
}

/// All files of the trail except the lock, which each start writes.
fn bytes_of(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = home.files();
    files.retain(|file| file.starts_with(home.audit()) && !file.ends_with("lock"));
    let read = |file: PathBuf| (file.clone(), std::fs::read(file).unwrap());
    files.into_iter().map(read).collect()
}

/// Asserts that the gateway refuses deletions with the reason at every attempt and writes nothing.
fn refused_and_left_alone(home: &Home, place: &str) {
    // A temporary file of a killed gateway.
    std::fs::write(home.audit().join("tmp/left"), b"left").unwrap();
    let before = bytes_of(home);
    let program = home.start();
    program.wait_for_cause("damaged");
    let shown = program.page("/readyz?verbose").shown();
    assert!(shown.contains(place) && shown.contains(ADVICE), "{shown}");
    let lock = || std::fs::read(home.audit().join("lock")).unwrap();
    let first = lock();
    until("it is tried again", || lock() != first);
    let (code, sent, cause) = refusal(&delete(program.address, 2));
    let expected = ("audit-unavailable", "no", "damaged");
    assert_eq!((&*code, &*sent, &*cause), expected);
    assert_eq!(get(program.address, 2).status, 200);
    assert!(program.stop().0.success());
    assert!(bytes_of(home) == before, "the trail was written to");
}

/// Asserts that readers report the newer format and not damage.
fn readers_cannot_read_it(home: &Home, place: &str) {
    for words in [&["verify"][..], &["list", "--json"], &["show", "2"]] {
        let output = audit(&home.audit(), words);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(74), "{words:?}: {told}");
        let is_clear = told.contains(place) && told.contains(ADVICE);
        assert!(is_clear && !told.contains("damage"), "{words:?}: {told}");
    }
}

#[test]
fn p3_p4_a_newer_batch_is_refused_and_not_repaired() {
    for first_of_a_segment in [false, true] {
        let users = Users::start();
        let home = left(&users);
        let journal = home.audit().join("journal");
        let (name, offset) = match first_of_a_segment {
            true => ("0000000002", 0),
            false => ("0000000001", end(&journal.join("0000000001"))),
        };
        write(&journal.join(name), HEAD, offset);
        let place = format!("journal segment {name}, offset {offset}");
        refused_and_left_alone(&home, &place);
        readers_cannot_read_it(&home, &place);
    }
}

#[test]
fn p3_p4_a_newer_journal_start_is_refused_and_left_alone() {
    let users = Users::start();
    let home = left(&users);
    let floor = home.audit().join("journal/floor");
    std::fs::write(floor, "lychgate journal floor v2\nanother form\n").unwrap();
    refused_and_left_alone(&home, "`journal/floor`");
    readers_cannot_read_it(&home, "`journal/floor`");
}

#[test]
fn p4_a_newer_log_can_be_abandoned_and_is_kept() {
    let users = Users::start();
    let home = left(&users);
    let segment = home.audit().join("journal/0000000001");
    write(&segment, HEAD, end(&segment));
    let checkpoint = std::fs::read_to_string(home.audit().join("checkpoint")).unwrap();
    let bytes = std::fs::read(&segment).unwrap();
    SECOND.write_key(&home);
    let mut command = trail::lychgate();
    command.args(["audit", "accept-loss", "--json", "--reason", "no way back"]);
    command.args(["--origin", SECOND.origin, "--key-file"]);
    command.arg(home.path(SECOND.key)).arg("--config");
    let done = said(&command.arg(home.path("lychgate.toml")).output().unwrap());
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["begun"], true);
    assert_eq!(done["old_checkpoint"], checkpoint);
    let left_in = Path::new(done["left_in"].as_str().unwrap());
    let kept = std::fs::read(left_in.join("journal/0000000001")).unwrap();
    assert!(kept == bytes, "the abandoned log is unchanged");
    SECOND.name_in_config(&home);
    let program = home.start_ready();
    assert_eq!(delete(program.address, 2).status, 200);
}
