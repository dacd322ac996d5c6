//! A sound trail for tests, as entries and as a folder.

mod published;

pub(crate) use published::{checkpoint, publish};

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::audit::disk::names::JOURNAL;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::entry::{Kind, Started, Verdict};
use crate::audit::journal::batch::{self, Link};
use crate::audit::journal::floor::PruningFloor;
use crate::audit::journal::{Place, segment};
use crate::audit::log::key::{Key, test_key};
use crate::audit::log::merkle::leaf;
use crate::audit::read::query::tests::{entry, intent, outcome, part, refused};

/// The bytes of an entry at a second of a fixed day.
pub(crate) fn bytes(second: i64, kind: Kind) -> Vec<u8> {
    serde_json::to_vec(&entry(second, kind)).unwrap()
}

/// An entry's leaf hash in the spelling of an outcome.
pub(crate) fn leaf_of(bytes: &[u8]) -> String {
    STANDARD.encode(leaf(bytes))
}

/// started · intent a · intent b · outcome of b · refused c · outcome of a · open intent d
pub(crate) fn sound() -> Vec<Vec<u8>> {
    let started = Started {
        version: "0.1.0".into(),
        recovered: 0,
    };
    let a = bytes(1, Kind::Intent(intent("a", &["1"])));
    let b = bytes(2, Kind::Intent(intent("b", &["2"])));
    let mut not_found = outcome(2, "b", vec![leaf_of(&b)]);
    not_found.ending.outcome = Verdict::NotFound;
    let close_a = outcome(1, "a", vec![leaf_of(&a)]);
    vec![
        bytes(0, Kind::Started(started)),
        a,
        b,
        bytes(3, Kind::Outcome(not_found)),
        bytes(4, Kind::Refused(refused("c", "scope-missing"))),
        bytes(5, Kind::Outcome(close_a)),
        bytes(6, Kind::Intent(intent("d", &["4"]))),
    ]
}

/// `count` entries of a sound trail: deletions in sequence, each closed at once.
pub(crate) fn long(count: usize) -> Vec<Vec<u8>> {
    let mut entries = vec![bytes(0, Kind::Alive {})];
    while entries.len() < count {
        let index = entries.len();
        let second = index as i64 / 100;
        let id = format!("request {index}");
        let open = bytes(second, Kind::Intent(intent(&id, &["1"])));
        let close = outcome(index as u64, &id, vec![leaf_of(&open)]);
        entries.extend([open, bytes(second, Kind::Outcome(close))]);
    }
    entries.truncate(count);
    entries
}

/// A deletion that is split into `parts` intents of `users` users each, followed by its closing entry.
pub(crate) fn split(parts: u32, users: u64) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = Vec::new();
    for number in 1..=parts {
        let users: Vec<String> = (0..users)
            .map(|user| (10_u64.pow(18) + user).to_string())
            .collect();
        let users: Vec<&str> = users.iter().map(String::as_str).collect();
        entries.push(bytes(1, Kind::Intent(part("a", &users, number, parts))));
    }
    let leaves = entries.iter().map(|entry| leaf_of(entry)).collect();
    entries.push(bytes(2, Kind::Outcome(outcome(0, "a", leaves))));
    entries
}

/// Writes a folder with a journal of all entries in few batches, and publishes the log at these
/// sizes. Returns the newest signed checkpoint.
pub(crate) fn write_log(directory: &Path, entries: &[Vec<u8>], sizes: &[u64]) -> Vec<u8> {
    let batches: Vec<_> = entries.chunks(500).map(<[Vec<u8>]>::to_vec).collect();
    write_batches(directory, &batches, &test_key());
    std::fs::write(directory.join("lock"), "").unwrap();
    publish(directory, entries, sizes, &test_key(), false)
}

/// The minimal length of a segment here.
const SEGMENT_BYTES: usize = 1 << 17;

/// Writes a folder whose journal has one batch for each entry, all in segment 1, with the test key.
pub(crate) fn write(directory: &Path, entries: &[Vec<u8>]) {
    let batches: Vec<_> = entries.iter().map(|entry| vec![entry.clone()]).collect();
    write_batches(directory, &batches, &test_key());
}

/// [`write`] with these batches and this key.
pub(crate) fn write_batches(directory: &Path, batches: &[Vec<Vec<u8>>], key: &Key) {
    write_segment(directory, 1, batches, Link::default(), key);
    std::fs::write(directory.join("verifier"), format!("{}\n", key.verifier())).unwrap();
}

/// Writes a journal after its first segment, with the first `pruned` batches, was pruned.
pub(crate) fn write_pruned(directory: &Path, batches: &[Vec<Vec<u8>>], pruned: usize, key: &Key) {
    let before = write_segment(directory, 1, &batches[..pruned], Link::default(), key);
    write_segment(directory, 2, &batches[pruned..], before, key);
    std::fs::remove_file(directory.join(JOURNAL).join(segment::name(1))).unwrap();
    let folder = RealDisk.folder(&directory.join(JOURNAL), None).unwrap();
    PruningFloor { segment: 2, before }
        .write(&*folder, key)
        .unwrap();
    std::fs::write(directory.join("verifier"), format!("{}\n", key.verifier())).unwrap();
}

/// Returns the link to its last batch.
fn write_segment(
    directory: &Path,
    number: u64,
    batches: &[Vec<Vec<u8>>],
    before: Link,
    key: &Key,
) -> Link {
    let mut bytes = Vec::new();
    let mut link = before;
    for entries in batches {
        let place = Place {
            segment: number,
            offset: bytes.len() as u64,
        };
        let (batch, next) = batch::encode(entries, &link, place, key).unwrap();
        bytes.extend(batch);
        link = next;
    }
    bytes.resize(bytes.len().max(SEGMENT_BYTES), 0);
    let journal = directory.join(JOURNAL);
    std::fs::create_dir_all(&journal).unwrap();
    std::fs::write(journal.join(segment::name(number)), bytes).unwrap();
    link
}

/// Changes the bytes of segment 1.
pub(crate) fn tamper(directory: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = directory.join(JOURNAL).join(segment::name(1));
    let mut segment = std::fs::read(&path).unwrap();
    change(&mut segment);
    std::fs::write(&path, segment).unwrap();
}
