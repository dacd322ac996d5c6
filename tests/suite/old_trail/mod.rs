//! The present program reads, proves and continues a trail of an earlier program.

mod logs;
mod newer;
mod recipe;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use lychgate::audit::entry::Entry;
use lychgate::audit::read::Location;
use lychgate::audit::read::verify::{Job, check, own_verifier};
use serde_json::Value;

use super::callers::delete;
use super::program::Home;
use super::users::Users;
pub(super) use logs::SECOND;
use logs::{FIRST, Log, audit, home_of, left_in, said};

/// The archive in `tests/trails`; the recipe in this folder makes it.
const ARCHIVE: &str = "v1.tar.gz";

/// The archive's files, with a config and the key for one of its logs.
pub(super) fn unpacked(log: &Log, users: &Users) -> Home {
    let home = home_of(log, users, &[]);
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trails");
    let mut tar = Command::new("tar");
    tar.args(["--no-same-owner", "-xmzf"])
        .arg(archive.join(ARCHIVE));
    tar.arg("-C").arg(home.path(""));
    assert!(tar.status().unwrap().success());
    if log.origin == FIRST.origin {
        let (lost, held) = (left_in(&home.audit()), home.path("held"));
        std::fs::rename(lost, &held).unwrap();
        std::fs::remove_dir_all(home.audit()).unwrap();
        std::fs::rename(held, home.audit()).unwrap();
    }
    home
}

/// Every entry of a log, as bytes.
fn entries(directory: &Path) -> Vec<Vec<u8>> {
    let verifier = own_verifier(directory).unwrap();
    let job = Job {
        location: &Location::Folder(directory.to_owned()),
        key: None,
        verifier: verifier.as_ref(),
        against: None,
    };
    let mut entries = Vec::new();
    check(&job, |_, bytes, _| entries.push(bytes.to_vec())).unwrap();
    entries
}

/// The kinds of entry in a log, each with its fields.
fn shapes(directory: &Path) -> BTreeSet<String> {
    let shape = |bytes: Vec<u8>| {
        let entry: Value = serde_json::from_slice(&bytes).unwrap();
        format!("{} {}", entry["kind"].as_str().unwrap(), fields(&entry))
    };
    entries(directory).into_iter().map(shape).collect()
}

/// The names in an object and in the objects within it, without the keys of maps.
fn fields(value: &Value) -> String {
    const MAPS: [&str; 4] = ["contracts", "cut", "known_callers", "unknown_callers"];
    let named = |(name, value): (&String, &Value)| match MAPS.contains(&name.as_str()) {
        true => format!("{name} "),
        false => format!("{name}{} ", fields(value)),
    };
    match value {
        Value::Object(object) => format!("({})", object.iter().map(named).collect::<String>()),
        Value::Array(values) => values.first().map(fields).unwrap_or_default(),
        _ => String::new(),
    }
}

fn kinds(shapes: &BTreeSet<String>) -> BTreeSet<&str> {
    shapes
        .iter()
        .filter_map(|shape| shape.split(' ').next())
        .collect()
}

fn list(home: &Home) -> String {
    said(&audit(&home.audit(), &["list", "--json"]))
}

/// The lines of a list whose deletions have ended; they never change again.
fn ended(list: &str) -> Vec<&str> {
    let is_open = |line: &&str| line.contains(r#""outcome":"open""#);
    list.lines().filter(|line| !is_open(line)).collect()
}

/// Asserts that the log verifies with its key, extends this checkpoint, and confirms the receipt.
fn holds(home: &Home, log: &Log, kept: &Path) {
    let (key_file, kept) = (home.path(log.key), kept.to_str().unwrap());
    let receipt = std::fs::read_to_string(home.path(log.receipt)).unwrap();
    let [receipt, leaf, signature] = receipt.lines().collect::<Vec<_>>()[..] else {
        panic!("no receipt: {receipt}")
    };
    let verify = ["verify", "--against", kept];
    let by_file = [&verify[..], &["--key-file", key_file.to_str().unwrap()]].concat();
    said(&audit(&home.audit(), &by_file));
    let verifier = log.verifier();
    let claim = ["--receipt", receipt, "--leaf", leaf, "--signature"];
    let by_key = [&verify[..], &["--key", &verifier], &claim, &[signature]].concat();
    said(&audit(&home.audit(), &by_key));
    proves(home, &verifier, receipt, leaf);
}

/// Asserts that a proof of the receipt verifies without the log.
fn proves(home: &Home, verifier: &str, receipt: &str, leaf: &str) {
    let words = ["prove", receipt, "--leaf", leaf, "--key", verifier];
    let proof = home.path("proof");
    std::fs::write(&proof, said(&audit(&home.audit(), &words))).unwrap();
    let mut command = crate::support::trail::lychgate();
    command.args(["audit", "verify", "--key", verifier, "--proof"]);
    let shown = said(&command.arg(proof).output().unwrap());
    assert!(shown.contains("deleted"), "{shown}");
}

/// Asserts that decoding and encoding each entry again gives the same bytes.
fn known_to_the_last_byte(home: &Home) {
    for bytes in entries(&home.audit()) {
        let entry: Entry = serde_json::from_slice(&bytes).unwrap();
        let again = serde_json::to_string(&entry).unwrap();
        assert_eq!(again, String::from_utf8(bytes).unwrap());
    }
}

/// Asserts that the present program writes the same fields as the earlier one.
fn no_new_shapes(now: &BTreeSet<String>, users: &Users) {
    let then = shapes(&unpacked(&SECOND, users).audit());
    let new: Vec<_> = now.difference(&then).collect();
    assert!(new.is_empty(), "a format of its own: {new:#?}\n{then:#?}");
}

/// Reads the log as it is in the archive, then continues it.
fn read_and_go_on(log: &Log) -> (Home, String) {
    let users = Users::start();
    let home = unpacked(log, &users);
    let old = std::fs::read_to_string(home.path(log.list)).unwrap();
    holds(&home, log, &home.path(log.kept));
    assert_eq!(list(&home), old);
    known_to_the_last_byte(&home);
    let left = home.path("left.checkpoint");
    std::fs::copy(home.audit().join("checkpoint"), &left).unwrap();

    let program = home.start_ready();
    assert_eq!(delete(program.address, 9_001).status, 200);
    let (status, log_text) = program.stop();
    assert!(status.success(), "{status}\n{log_text}");
    holds(&home, log, &left);
    // The seen file is a checkpoint of the present log.
    holds(&home, log, &home.path(log.seen));
    let seen = std::fs::read(home.path(log.seen)).unwrap();
    assert_eq!(
        seen,
        std::fs::read(home.audit().join("checkpoint")).unwrap()
    );
    let new = list(&home);
    assert_eq!(ended(&new)[..ended(&old).len()], ended(&old));
    assert_eq!(new.lines().count(), old.lines().count() + 1);
    known_to_the_last_byte(&home);
    no_new_shapes(&shapes(&home.audit()), &users);
    (home, old)
}

#[test]
fn p2_p4_p5_a_trail_of_format_1_is_read_and_continued() {
    let (home, old) = read_and_go_on(&SECOND);
    // The kill left two deletions in flight open; the start has closed them.
    let open = old.lines().count() - ended(&old).len();
    assert_eq!(open, 2);
    let new = list(&home);
    let crashed = |line: &&str| line.contains(r#""reason":"crash""#);
    let before = old.lines().filter(crashed).count();
    assert_eq!(new.lines().filter(crashed).count(), before + open);
}

#[test]
fn p4_p5_an_abandoned_log_of_format_1_is_read() {
    read_and_go_on(&FIRST);
}

#[test]
fn p4_a_seen_file_of_format_1_detects_a_rollback() {
    let users = Users::start();
    let home = unpacked(&SECOND, &users);
    std::fs::remove_dir_all(home.audit()).unwrap();
    home.start().wait_for_cause("rolled-back");
}

#[test]
fn the_trail_of_format_1_has_every_kind_of_entry() {
    let users = Users::start();
    let home = unpacked(&SECOND, &users);
    let shapes = shapes(&home.audit());
    assert_eq!(kinds(&shapes), recipe::KINDS.into());
    for field in ["cut", "group", "parts"] {
        let has = shapes.iter().any(|shape| shape.contains(field));
        assert!(has, "{field}: {shapes:#?}");
    }
    let file = |name: &str| home.audit().join(name);
    let tiles = ["tile/0/000", "tile/entries/000", "tile/1/000.p/1"];
    for name in tiles.into_iter().chain(["journal/floor"]) {
        assert!(file(name).is_file(), "{name}");
    }
    let checkpoint = std::fs::read_to_string(file("checkpoint")).unwrap();
    let covered: usize = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    let all = entries(&home.audit()).len();
    assert!(covered < all, "the journal alone holds the last entries");
}
