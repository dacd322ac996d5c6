//! Tests of finding a place in a log: how many bundles it reads, and that it misses nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::audit::read::testing::{Flaky, publish};
use crate::audit::read::{Location, Log, Missing, MissingRange};
use crate::audit::test_folder;

/// An answer, and how many bundles it read.
fn counted<T>(directory: &Path, answer: impl FnOnce(&mut Log) -> T) -> (u64, T) {
    let files = Arc::new(Flaky::new(directory, "tile/entries/", |_| false));
    let location = Location::Published(Arc::clone(&files) as _);
    let answer = answer(&mut location.open(None).unwrap());
    (files.reads(), answer)
}

/// Deletions in sequence, whose entries have these times.
fn deletions(times: &[i64]) -> Vec<Entry> {
    let of = |(index, second): (usize, &i64)| {
        let id = (index / 2).to_string();
        let kind = match index.is_multiple_of(2) {
            true => Kind::Intent(intent(&id, &["1"])),
            false => closed(index as u64 - 1, &id),
        };
        entry(*second, kind)
    };
    times.iter().enumerate().map(of).collect()
}

fn published(directory: &Path, entries: &[Entry]) {
    let bytes: Vec<_> = entries.iter().map(Entry::to_bytes).collect();
    publish(directory, &bytes);
}

fn since(second: i64) -> Filter {
    Filter {
        since: Time::parse(&at(second)),
        ..Filter::default()
    }
}

fn picked(log: &mut Log, filter: &Filter, limit: Option<usize>) -> Vec<Deletion> {
    let mut list = Vec::new();
    let each = |deletion| {
        list.push(deletion);
        Ok::<_, MissingRange>(())
    };
    pick(log, filter, limit, each).unwrap();
    list
}

/// The deletions that joining all entries gives.
fn wanted(entries: &[Entry], filter: &Filter) -> Vec<Deletion> {
    let mut joiner = Joiner::default();
    for (index, entry) in (0..).zip(entries) {
        joiner.push(index, entry.clone());
    }
    joiner.rest().filter(|one| filter.admits(one)).collect()
}

/// Two logs with an entry every ten seconds; the second is eight times as long.
const SIZES: [usize; 2] = [3_100, 24_800];

fn steady(size: usize) -> Vec<Entry> {
    let times: Vec<i64> = (0..size as i64).map(|entry| 10 * entry).collect();
    deletions(&times)
}

#[test]
fn a_search_by_time_reads_few_bundles_of_a_long_log() {
    for size in SIZES {
        let folder = test_folder("places");
        let entries = steady(size);
        published(folder.path(), &entries);
        let last = since(10 * size as i64 - 20);
        let bundles = size.div_ceil(256) as u64;
        // One bundle for each halving, and those of the last hour: 360 entries.
        let most = u64::from(bundles.ilog2()) + 1 + 3;
        for limit in [None, Some(100)] {
            let (read, list) = counted(folder.path(), |log| picked(log, &last, limit));
            assert_eq!(list, wanted(&entries, &last));
            assert_eq!(list.len(), 1);
            assert!(read <= most, "{read} of {bundles} bundles");
        }
    }
}

#[test]
fn an_index_needs_one_bundle_and_its_deletion_few() {
    for size in SIZES {
        let folder = test_folder("places");
        let entries = steady(size);
        published(folder.path(), &entries);
        for index in [0, 255, 256, size as u64 / 2, size as u64 - 1] {
            let (read, found) = counted(folder.path(), |log| log.entry(index));
            assert_eq!(
                found.unwrap().unwrap().bytes,
                entries[index as usize].to_bytes()
            );
            assert_eq!(read, 1);
        }
        let intent = size as u64 / 2;
        let found = Mutex::new(Vec::new());
        let (read, ended) = counted(folder.path(), |log| {
            entries_of(log, intent, |raw| {
                found.lock().unwrap().push(raw.index);
                match raw.index == intent {
                    true => std::ops::ControlFlow::Continue(()),
                    false => std::ops::ControlFlow::Break(()),
                }
            })
        });
        assert_eq!(ended, (Some(()), Missing::default()));
        assert_eq!(found.into_inner().unwrap(), [intent, intent + 1]);
        assert!(read <= 8, "{read}: two threads read ahead");
    }
}

#[test]
fn an_index_after_the_last_entry_is_missing() {
    let folder = test_folder("places");
    published(folder.path(), &steady(300));
    let (_, found) = counted(folder.path(), |log| log.entry(300));
    assert_eq!(found, Ok(None));
}

#[test]
fn p4_a_search_by_time_reports_only_damage_in_its_range() {
    let entries = steady(3_100);
    for (gone, is_told) in [(6, false), (10, true), (11, true), (12, true)] {
        let folder = test_folder("places");
        published(folder.path(), &entries);
        let bundle = format!(
            "tile/entries/{gone:03}{}",
            if gone == 12 { ".p/28" } else { "" }
        );
        std::fs::remove_file(folder.path().join(bundle)).unwrap();
        let (read, searched) = counted(folder.path(), |log| {
            pick(log, &since(30_980), None, |_| Ok::<_, MissingRange>(())).unwrap()
        });
        let hidden = searched.missing.none().err().and_then(|range| range.index);
        assert_eq!(
            hidden,
            is_told.then_some(gone * 256),
            "{:?}",
            searched.range
        );
        assert!(read <= 9, "{read} of 13 bundles");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_search_by_time_survives_a_clock_set_back(
        steps in prop::collection::vec(prop_oneof![
            30 => 0..60_i64,
            1 => -3_600..0_i64,
        ], 1_300),
        place in 0..1_300_usize, more in -60..60_i64, limit in 1..2_000_usize,
    ) {
        // No time is more than an hour before any earlier entry's time.
        let (mut time, mut newest) = (0, 0);
        let times: Vec<i64> = steps
            .iter()
            .map(|step| {
                time = (time + step).max(newest - 3_600);
                newest = newest.max(time);
                time
            })
            .collect();
        let folder = test_folder("places");
        let entries = deletions(&times);
        published(folder.path(), &entries);
        let filter = since(times[place] + more);
        let mut all = wanted(&entries, &filter);
        let (_, list) = counted(folder.path(), |log| picked(log, &filter, None));
        prop_assert_eq!(&list, &all);
        all.drain(..all.len().saturating_sub(limit));
        let (_, list) = counted(folder.path(), |log| picked(log, &filter, Some(limit)));
        prop_assert_eq!(&list, &all);
    }
}
