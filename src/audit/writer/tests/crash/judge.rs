//! Compares the recovered trail with every answer that a caller got and every checkpoint that a reader saw.

use std::collections::BTreeMap;

use super::life::Told;
use super::*;
use crate::audit::entry::{Intent, Outcome, Reason};
use crate::audit::log::merkle::{Hash, leaf, root_of};
use crate::audit::read::Location;
use crate::audit::read::verify::{Job, check};

pub(super) fn judge(disk: &FakeDisk, settings: &Settings, told: &Told) {
    let key = Key::read(&settings.key_file).unwrap();
    let entries = entries(disk, settings);
    let leaves: Vec<Hash> = entries.iter().map(|e| leaf(&e.to_bytes())).collect();
    let intents = intents(&entries);
    let outcomes = outcomes(&entries);
    // Nothing is open, and nothing was closed twice.
    assert!(intents.keys().eq(outcomes.keys()), "an intent is open");
    for (index, id) in &told.granted {
        let intent = intents
            .get(index)
            .expect("upstream was sent what has no intent");
        assert_eq!(&intent.request_id, id, "intent {index}");
    }
    for (index, intent) in &intents {
        let whole = told.asked[&intent.request_id];
        assert_eq!(users(&entries, *index, intent), whole, "intent {index}");
        judge_outcome(told, *index, outcomes[index].1);
    }
    for (index, receipt) in &told.answered {
        let (closing, outcome) = outcomes[index];
        assert_eq!(outcome.ending, told.tried[index], "outcome of {index}");
        let stands = Some((*index, leaves[closing as usize]));
        assert_eq!(receipt.verify(key.verifier()), stands, "receipt of {index}");
    }
    let newest = judge_checkpoints(disk, &key, &leaves);
    verify(disk, &key, newest.as_ref());
}

/// An outcome is the one that its caller gave, or `unknown`.
fn judge_outcome(told: &Told, index: u64, outcome: &Outcome) {
    let found = &outcome.ending;
    let lost = [Some(Reason::Crash), Some(Reason::Internal)];
    let is_lost = found.outcome == Verdict::Unknown && lost.contains(&found.reason);
    let is_not_sent = found.outcome == Verdict::Failed && found.sent == Sent::No;
    match told.tried.get(&index) {
        Some(tried) => assert!(found == tried || is_lost, "{index}: {found:?}"),
        None if told.granted.contains_key(&index) => assert!(is_lost, "{index}: {found:?}"),
        None => assert!(is_lost || is_not_sent, "{index}: {found:?}"),
    }
}

/// Checks that every published checkpoint is a prefix of this log. Returns the newest.
fn judge_checkpoints(disk: &FakeDisk, key: &Key, leaves: &[Hash]) -> Option<Checkpoint> {
    let mut shown: Vec<Checkpoint> = disk
        .shown()
        .iter()
        .map(|bytes| Checkpoint::open(bytes, key.verifier()).unwrap())
        .collect();
    shown.sort_by_key(|checkpoint| checkpoint.size);
    for checkpoint in &shown {
        let size = checkpoint.size as usize;
        assert!(
            size <= leaves.len(),
            "{size} entries were shown, {} are left",
            leaves.len()
        );
        let root = root_of(&leaves[..size]);
        assert_eq!(checkpoint.root, root, "another log of {size} was shown");
    }
    shown.pop()
}

fn verify(disk: &FakeDisk, key: &Key, newest: Option<&Checkpoint>) {
    let folder = test_folder("crashed");
    let directory = folder.path().join("audit");
    disk.copy_to("/audit", &directory);
    let job = Job {
        location: &Location::Folder(directory),
        key: Some(key),
        verifier: Some(key.verifier()),
        against: newest,
    };
    let summary = check(&job, |_, _, _| {}).unwrap();
    assert_eq!(summary.open, 0);
}

/// The first part of each, by its index.
fn intents(entries: &[Entry]) -> BTreeMap<u64, &Intent> {
    let intents = (0..)
        .zip(entries)
        .filter_map(|(index, entry)| match &entry.kind {
            Kind::Intent(intent) if intent.part.is_none_or(|part| part == 1) => {
                Some((index, intent))
            }
            _ => None,
        });
    intents.collect()
}

/// The users of all parts.
fn users(entries: &[Entry], index: u64, first: &Intent) -> usize {
    let parts = entries[index as usize..]
        .iter()
        .take(first.parts.unwrap_or(1) as usize);
    let users = parts.map(|entry| match &entry.kind {
        Kind::Intent(part) if part.request_id == first.request_id => part.users.len(),
        other => panic!("a part is missing: {other:?}"),
    });
    users.sum()
}

/// The one outcome of each, with its own index.
fn outcomes(entries: &[Entry]) -> BTreeMap<u64, (u64, &Outcome)> {
    let mut outcomes = BTreeMap::new();
    for (index, entry) in (0..).zip(entries) {
        if let Kind::Outcome(outcome) = &entry.kind {
            let before = outcomes.insert(outcome.intent, (index, outcome));
            assert!(before.is_none(), "{} was closed twice", outcome.intent);
        }
    }
    outcomes
}
