//! Tests of following a log from checkpoint to checkpoint.

use std::path::Path;
use std::sync::Arc;

use super::picks::{history, step};
use super::*;
use crate::audit::read::testing::{Flaky, publish};
use crate::audit::read::verify::sample;
use crate::audit::read::{Location, Log, Missing, MissingRange, Trouble};
use crate::audit::{TestFolder, test_folder};
use proptest::prelude::*;

fn bytes(kinds: &[Kind]) -> Vec<Vec<u8>> {
    let seconds = (0..).zip(kinds);
    seconds
        .map(|(second, kind)| sample::bytes(second, kind.clone()))
        .collect()
}

fn log(directory: &Path) -> Log {
    let location = Location::Folder(directory.to_owned());
    Log::published(location.files().unwrap(), None).unwrap()
}

fn advance(follower: &mut Follower, directory: &Path) -> Result<Vec<Deletion>, MissingRange> {
    let mut seen = Vec::new();
    let missing = follower.advance(log(directory), |deletion| -> Result<(), MissingRange> {
        seen.push(deletion);
        Ok(())
    })?;
    missing.none().map(|()| seen)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn p2_each_deletion_comes_once_when_it_is_closed(
        steps in prop::collection::vec(step(), 1..60), cuts in prop::collection::vec(0..100_usize, 1..6),
    ) {
        let kinds = history(&steps);
        let entries = bytes(&kinds);
        let mut sizes: Vec<_> = cuts.iter().map(|cut| entries.len() * cut / 100).collect();
        sizes.push(entries.len());
        sizes.sort_unstable();
        for size in &mut sizes {
            while *size > 0 && matches!(kinds.get(*size), Some(Kind::Intent(i)) if i.part > Some(1)) {
                *size -= 1;
            }
        }
        let folder = test_folder("follow");
        publish(folder.path(), &entries[..sizes[0]]);
        let mut follower = Follower::new(&log(folder.path()));
        let mut seen = Vec::new();
        for size in &sizes[1..] {
            publish(folder.path(), &entries[..*size]);
            seen.extend(advance(&mut follower, folder.path()).unwrap());
        }
        let begun = sizes[0] as u64;
        let ends = |deletion: &Deletion| deletion.closing_index.unwrap_or(deletion.index);
        let mut all = joined(kinds);
        all.retain(|deletion| deletion.outcome != Progress::Open && ends(deletion) >= begun);
        all.sort_by_key(ends);
        prop_assert_eq!(seen, all);
    }
}

fn two() -> (TestFolder, Follower, Vec<Vec<u8>>) {
    let folder = test_folder("follow");
    let entries = bytes(&[
        Kind::Intent(intent("a", &["1"])),
        Kind::Alive {},
        closed(0, "a"),
    ]);
    publish(folder.path(), &entries[..2]);
    let follower = Follower::new(&log(folder.path()));
    (folder, follower, entries)
}

#[test]
fn an_unchanged_log_gives_no_deletion() {
    let (folder, mut follower, _) = two();
    assert_eq!(advance(&mut follower, folder.path()), Ok(Vec::new()));
}

#[test]
fn p4_a_rolled_back_log_is_found() {
    let (folder, mut follower, entries) = two();
    publish(folder.path(), &entries[..1]);
    let hole = advance(&mut follower, folder.path()).unwrap_err();
    assert_eq!(hole.trouble, Trouble::Damaged);
    assert!(hole.to_string().contains("rolled back"), "{hole}");
}

#[test]
fn p4_a_forked_log_is_found() {
    let (folder, mut follower, _) = two();
    let fork = bytes(&[
        Kind::Intent(intent("a", &["2"])),
        Kind::Alive {},
        closed(0, "a"),
    ]);
    publish(folder.path(), &fork);
    let hole = advance(&mut follower, folder.path()).unwrap_err();
    assert!(hole.to_string().contains("forked"), "{hole}");
}

#[test]
fn p4_following_goes_on_behind_a_missing_range() {
    let folder = test_folder("follow");
    let pair = |number: u64| {
        let id = number.to_string();
        [Kind::Intent(intent(&id, &["1"])), closed(2 * number, &id)]
    };
    let entries = bytes(&(0..300).flat_map(pair).collect::<Vec<_>>());
    publish(folder.path(), &entries[..100]);
    let mut follower = Follower::new(&log(folder.path()));
    publish(folder.path(), &entries);
    std::fs::remove_file(folder.path().join("tile/entries/001")).unwrap();
    let mut seen = Vec::new();
    let each = |deletion: Deletion| -> Result<(), MissingRange> {
        seen.push(deletion.index);
        Ok(())
    };
    let missing = follower.advance(log(folder.path()), each).unwrap();
    let hidden = missing.none().unwrap_err();
    assert_eq!((hidden.index, hidden.end), (Some(256), Some(512)));
    let visible = (100..256).chain(512..600).step_by(2);
    assert!(seen.into_iter().eq(visible));
    assert_eq!(
        advance(&mut follower, folder.path()),
        Ok(Vec::new()),
        "told once"
    );
}

#[test]
fn a_log_without_a_checkpoint_is_followed_from_entry_0() {
    let folder = test_folder("follow");
    let mut follower = Follower::new(&log(folder.path()));
    let entries = bytes(&[Kind::Intent(intent("a", &["1"])), closed(0, "a")]);
    publish(folder.path(), &entries);
    assert_eq!(advance(&mut follower, folder.path()).unwrap().len(), 1);
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again() {
    let folder = test_folder("follow");
    let kinds = [
        Kind::Intent(intent("a", &["1"])),
        Kind::Intent(intent("b", &["2"])),
        closed(1, "b"),
        closed(0, "a"),
    ];
    let entries = bytes(&kinds);
    publish(folder.path(), &entries[..1]);
    let mut follower = Follower::new(&log(folder.path()));
    publish(folder.path(), &entries);
    let files = Arc::new(Flaky::new(folder.path(), "tile/entries/", |read| read == 0));
    let mut next = || {
        let mut seen = Vec::new();
        let log = Log::published(files.clone(), None).unwrap();
        let ended = follower.advance(log, |deletion| -> Result<(), MissingRange> {
            seen.push(deletion.index);
            Ok(())
        });
        ended.and_then(Missing::none).map(|()| seen)
    };
    assert_eq!(next().unwrap_err().trouble, Trouble::Unreadable);
    assert_eq!(next(), Ok(vec![1, 0]));
}
