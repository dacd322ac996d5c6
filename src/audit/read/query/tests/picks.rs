//! Tests of selecting from logs: both directions find the same, and a missing range gives an error.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::journal::Place;
use crate::audit::journal::batch::{self, Link};
use crate::audit::journal::floor::PruningFloor;
use crate::audit::log::key::test_key;
use crate::audit::read::testing::{publish, put};
use crate::audit::read::verify::sample;
use crate::audit::read::{Location, Log, MissingRange, Trouble};
use crate::audit::test_folder;

/// The next event in a random history.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Intent(u8),
    Split(u8),
    Refused(u8),
    Close(u8),
    Alive,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..5_u8).prop_map(Step::Intent),
        1 => (0..5_u8).prop_map(Step::Split),
        1 => (0..5_u8).prop_map(Step::Refused),
        4 => any::<u8>().prop_map(Step::Close),
        1 => Just(Step::Alive),
    ]
}

pub(super) fn history(steps: &[Step]) -> Vec<Kind> {
    let mut open: Vec<(u64, String)> = Vec::new();
    let mut kinds = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        let (id, index) = (format!("r{number}"), kinds.len() as u64);
        match step {
            Step::Intent(user) => {
                kinds.push(Kind::Intent(intent(&id, &[&user.to_string()])));
                open.push((index, id));
            }
            Step::Split(user) => {
                kinds.push(Kind::Intent(part(&id, &[&user.to_string()], 1, 3)));
                kinds.push(Kind::Intent(part(&id, &["8"], 2, 3)));
                kinds.push(Kind::Intent(part(&id, &["9"], 3, 3)));
                open.push((index, id));
            }
            Step::Refused(user) => {
                let mut refused = refused(&id, "scope-missing");
                refused.users = vec![user.to_string()];
                kinds.push(Kind::Refused(refused));
            }
            Step::Close(which) if !open.is_empty() => {
                let (intent, id) = open.remove(usize::from(*which) % open.len());
                let mut closing = outcome(intent, &id, vec!["leaf".into()]);
                if which % 3 == 0 {
                    closing.ending.outcome = Verdict::Unknown;
                    closing.ending.reason = Some(Reason::Timeout);
                }
                kinds.push(Kind::Outcome(closing));
            }
            Step::Close(_) | Step::Alive => kinds.push(Kind::Alive {}),
        }
    }
    kinds
}

fn filters() -> Vec<Filter> {
    let user = |user: &str| Some(user.to_owned());
    let unknown = Some(Progress::Closed(Verdict::Unknown));
    vec![
        Filter::default(),
        Filter {
            user: user("3"),
            ..Filter::default()
        },
        Filter {
            user: user("9"),
            ..Filter::default()
        },
        Filter {
            result: unknown,
            ..Filter::default()
        },
        Filter {
            result: Some(Progress::Open),
            user: user("1"),
            ..Filter::default()
        },
        Filter {
            code: Some("scope-missing".into()),
            ..Filter::default()
        },
        Filter {
            since: Time::parse(&at(20)),
            until: Time::parse(&at(40)),
            ..Filter::default()
        },
    ]
}

pub(super) fn open(directory: &Path) -> Result<Log, MissingRange> {
    Location::Folder(directory.to_owned()).open(None)
}

/// The deletions found, and the entries searched.
pub(super) fn answer(
    directory: &Path,
    filter: &Filter,
    limit: Option<usize>,
) -> (Vec<Deletion>, Searched) {
    let mut log = open(directory).unwrap();
    let mut list = Vec::new();
    let searched = pick(&mut log, filter, limit, |deletion| {
        list.push(deletion);
        Ok::<_, MissingRange>(())
    });
    (list, searched.unwrap())
}

/// A complete answer, or the first missing range.
fn picked(
    directory: &Path,
    filter: &Filter,
    limit: Option<usize>,
) -> Result<Vec<Deletion>, MissingRange> {
    let (list, searched) = answer(directory, filter, limit);
    searched.missing.none().map(|()| list)
}

/// Writes entries one second apart: the first `under` of them under a checkpoint, all of them in
/// the journal.
pub(super) fn written(directory: &Path, kinds: &[Kind], under: usize) -> Vec<Vec<u8>> {
    let seconds = (0..).zip(kinds);
    let entries: Vec<_> = seconds
        .map(|(second, kind)| sample::bytes(second, kind.clone()))
        .collect();
    sample::write_batches(directory, std::slice::from_ref(&entries), &test_key());
    if under > 0 {
        publish(directory, &entries[..under]);
    }
    entries
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn p2_reading_backwards_finds_what_joining_all_finds(
        steps in prop::collection::vec(step(), 1..60), cut in 0..100_usize, limit in 1..30_usize,
    ) {
        let kinds = history(&steps);
        let folder = test_folder("pick");
        let mut under = kinds.len() * cut / 100;
        // A checkpoint covers whole batches, and all parts of a deletion are in one batch.
        while under > 0 && matches!(kinds.get(under), Some(Kind::Intent(i)) if i.part > Some(1)) {
            under -= 1;
        }
        written(folder.path(), &kinds, under);
        for filter in filters() {
            let mut all = joined(kinds.clone());
            all.retain(|deletion| filter.admits(deletion));
            prop_assert_eq!(&picked(folder.path(), &filter, None).unwrap(), &all);
            all.drain(..all.len().saturating_sub(limit));
            prop_assert_eq!(&picked(folder.path(), &filter, Some(limit)).unwrap(), &all);
        }
    }
}

/// 300 closed deletions of users 0 to 9.
pub(super) fn many() -> Vec<Kind> {
    (0..300)
        .flat_map(|number: u64| {
            let id = number.to_string();
            let user = (number % 10).to_string();
            [Kind::Intent(intent(&id, &[&user])), closed(2 * number, &id)]
        })
        .collect()
}

pub(super) fn of_user(user: &str) -> Filter {
    Filter {
        user: Some(user.into()),
        ..Filter::default()
    }
}

#[test]
fn p4_a_missing_range_is_never_reported_as_no_deletions() {
    let folder = test_folder("pick");
    publish(folder.path(), &written(folder.path(), &many(), 0));
    for gone in ["tile/entries/000", "tile/entries/001", "tile/0/001"] {
        let path = folder.path().join(gone);
        let good = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for limit in [None, Some(5)] {
            let hole = picked(folder.path(), &of_user("nobody"), limit).unwrap_err();
            assert_eq!(hole.trouble, Trouble::Damaged);
            assert!(hole.to_string().contains(gone), "{hole}");
        }
        put(folder.path(), gone, &good);
    }
    assert_eq!(
        picked(folder.path(), &of_user("nobody"), None),
        Ok(Vec::new())
    );
}

#[test]
fn an_answer_covers_the_journal_and_gives_its_range() {
    let folder = test_folder("pick");
    written(folder.path(), &many()[..200], 100);
    for (limit, first) in [(None, 0), (Some(5), 100), (Some(500), 0)] {
        let (list, searched) = answer(folder.path(), &Filter::default(), limit);
        assert_eq!(searched.range, first..200, "{limit:?}");
        assert_eq!(list.len(), limit.unwrap_or(100).min(100));
    }
}

#[test]
fn p4_an_altered_entry_is_no_answer() {
    let folder = test_folder("pick");
    publish(folder.path(), &written(folder.path(), &many(), 0));
    let path = folder.path().join("tile/entries/000");
    let text = std::fs::read(&path).unwrap();
    let at = text
        .windows(11)
        .position(|w| w == b"\"users\":[\"3")
        .unwrap();
    let mut bad = text;
    bad[at + 10] = b'7';
    std::fs::write(&path, bad).unwrap();
    let hole = picked(folder.path(), &of_user("3"), None).unwrap_err();
    assert_eq!(hole.index, Some(6));
}

/// A journal whose entries before `from` were pruned.
fn pruned(directory: &Path, entries: &[Vec<u8>], from: u64) {
    let key = test_key();
    let place = |segment| Place { segment, offset: 0 };
    let before = Link {
        place: place(2),
        sequence: 5,
        next_index: from,
        digest: [7; 32],
    };
    let (bytes, _) = batch::encode(&entries[from as usize..], &before, place(3), &key).unwrap();
    put(directory, "journal/0000000003", &bytes);
    let journal = RealDisk.folder(&directory.join("journal"), None).unwrap();
    let floor = PruningFloor { segment: 3, before };
    floor.write(&*journal, &key).unwrap();
}

#[test]
fn p4_a_journal_that_begins_too_late_is_a_missing_range() {
    let folder = test_folder("pick");
    let kinds = &many()[..200];
    let entries: Vec<_> = (0..)
        .zip(kinds)
        .map(|(second, kind)| sample::bytes(second, kind.clone()))
        .collect();
    pruned(folder.path(), &entries, 150);
    publish(folder.path(), &entries[..150]);
    let whole = picked(folder.path(), &Filter::default(), None).unwrap();
    assert_eq!(whole, joined(kinds.to_vec()));
    publish(folder.path(), &entries[..100]);
    for limit in [None, Some(5)] {
        let hole = picked(folder.path(), &of_user("nobody"), limit).unwrap_err();
        assert_eq!((hole.trouble, hole.index), (Trouble::Damaged, Some(100)));
    }
}
