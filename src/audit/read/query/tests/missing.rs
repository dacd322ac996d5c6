//! Tests of answers from a damaged log: a fault hides only the entries that it damages.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::picks::{answer, many, of_user, open, written};
use super::*;
use crate::audit::read::testing::{Flaky, publish, put};
use crate::audit::read::verify::sample;
use crate::audit::read::{Location, Missing, MissingRange, Trouble};
use crate::audit::test_folder;

/// All files of the tree of [`many`].
const FILES: [&str; 7] = [
    "tile/entries/000",
    "tile/entries/001",
    "tile/entries/002.p/88",
    "tile/0/000",
    "tile/0/001",
    "tile/0/002.p/88",
    "tile/1/000.p/2",
];

fn hidden(missing: Missing) -> BTreeSet<u64> {
    let (ranges, more) = missing.ranges();
    assert_eq!(more, 0);
    assert!(!ranges.is_empty(), "the damage is not told");
    let known = ranges.iter().filter_map(|range| range.index.zip(range.end));
    known.flat_map(|(first, end)| first..end).collect()
}

/// The deletions of all entries that are not hidden.
fn visible(kinds: &[Kind], hidden: &BTreeSet<u64>) -> Vec<Deletion> {
    let mut joiner = Joiner::default();
    for (index, kind) in (0..).zip(kinds) {
        if !hidden.contains(&index) {
            let (time, kind) = (at(index as i64), kind.clone());
            joiner.push(index, Entry { time, kind });
        }
    }
    joiner.rest().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn p4_a_flipped_bit_hides_at_most_its_bundle(
        file in any::<Index>(), at in any::<Index>(), bit in 0..8_u8, limit in 1..400_usize,
    ) {
        let folder = test_folder("missing");
        let kinds = many();
        publish(folder.path(), &written(folder.path(), &kinds, 0));
        let file = *file.get(&FILES);
        let mut bytes = std::fs::read(folder.path().join(file)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        put(folder.path(), file, &bytes);

        let (list, searched) = answer(folder.path(), &Filter::default(), None);
        let hidden = hidden(searched.missing);
        let bundles: BTreeSet<u64> = hidden.iter().map(|index| index / 256).collect();
        prop_assert_eq!(bundles.len(), usize::from(file.contains("entries")));
        let mut all = visible(&kinds, &hidden);
        prop_assert_eq!(&list, &all);
        let (newest, _) = answer(folder.path(), &Filter::default(), Some(limit));
        all.drain(..all.len().saturating_sub(limit));
        prop_assert_eq!(newest, all);
    }
}

#[test]
fn p4_an_altered_entry_hides_only_itself() {
    let folder = test_folder("missing");
    let kinds = many();
    let entries = written(folder.path(), &kinds, 0);
    publish(folder.path(), &entries);
    let path = folder.path().join("tile/entries/001");
    let mut bundle = std::fs::read(&path).unwrap();
    let entry = &entries[300];
    let at = bundle.windows(entry.len()).position(|found| found == entry);
    bundle[at.unwrap() + 40] ^= 1;
    std::fs::write(&path, bundle).unwrap();
    for limit in [None, Some(1_000)] {
        let (list, searched) = answer(folder.path(), &Filter::default(), limit);
        let hidden = hidden(searched.missing);
        assert_eq!(hidden, BTreeSet::from([300]));
        assert_eq!(list, visible(&kinds, &hidden));
        assert_eq!(list.len(), 299);
    }
}

#[test]
fn p4_bytes_behind_the_last_entry_hide_no_entry() {
    let folder = test_folder("missing");
    publish(folder.path(), &written(folder.path(), &many(), 0));
    let path = folder.path().join("tile/entries/001");
    let bundle = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&*bundle, b"more"].concat()).unwrap();
    let (list, searched) = answer(folder.path(), &Filter::default(), None);
    assert_eq!(hidden(searched.missing), BTreeSet::new());
    assert_eq!(list.len(), 300);
}

#[test]
fn deletions_on_both_sides_of_a_missing_bundle_are_found() {
    let folder = test_folder("missing");
    publish(folder.path(), &written(folder.path(), &many(), 0));
    std::fs::remove_file(folder.path().join("tile/entries/001")).unwrap();
    for limit in [None, Some(100)] {
        let (list, searched) = answer(folder.path(), &of_user("3"), limit);
        assert_eq!(hidden(searched.missing), (256..512).collect());
        let indexes = list.iter().map(|deletion| deletion.index);
        let of_user_3 = (3..300).step_by(10).map(|number| 2 * number);
        assert!(indexes.eq(of_user_3.filter(|index| !(256..512).contains(index))));
    }
}

#[test]
fn p4_a_damaged_journal_hides_no_published_entry() {
    let folder = test_folder("missing");
    let kinds = (0..).zip(many()).take(20);
    let entries: Vec<_> = kinds
        .map(|(second, kind)| sample::bytes(second, kind))
        .collect();
    sample::write(folder.path(), &entries);
    publish(folder.path(), &entries[..6]);
    sample::tamper(folder.path(), |segment| segment[8 * 4_096 + 200] ^= 1);
    for limit in [None, Some(2)] {
        let (list, searched) = answer(folder.path(), &Filter::default(), limit);
        assert_eq!(list.len(), limit.unwrap_or(4));
        let missing = searched.missing.none().unwrap_err();
        assert_eq!((missing.index, missing.end), (Some(8), None));
        assert_eq!(missing.trouble, Trouble::Damaged);
    }
}

#[test]
fn behind_a_missing_range_a_bounded_number_is_held() {
    let mut joiner = Joiner::default();
    let lost = Kind::Intent(intent("lost", &["1"]));
    let entry = |kind| Entry { time: at(0), kind };
    joiner.push(0, entry(lost));
    joiner.skip(&MissingRange::damaged("altered").only(1));
    let mut returned = 0;
    for index in 2..=MOST_HELD as u64 + 10 {
        joiner.push(index, entry(Kind::Refused(refused("r", "scope-missing"))));
        while let Some(deletion) = joiner.next_closed() {
            assert_eq!(deletion.outcome == Progress::Open, returned == 0);
            returned += 1;
        }
    }
    assert!(returned > 0 && joiner.rest().count() <= MOST_HELD);
}

/// [`many`], but these outcomes are unknown.
fn with_unknown(outcomes: &[usize]) -> Vec<Kind> {
    let mut kinds = many();
    for place in outcomes {
        let Kind::Outcome(outcome) = &mut kinds[*place] else {
            panic!("entry {place} is no outcome");
        };
        outcome.ending.outcome = Verdict::Unknown;
        outcome.ending.reason = Some(Reason::Timeout);
    }
    kinds
}

fn flaky(directory: &Path, path: &'static str, fails: fn(u64) -> bool) -> (Arc<Flaky>, Location) {
    let files = Arc::new(Flaky::new(directory, path, fails));
    (Arc::clone(&files), Location::Published(files))
}

#[test]
fn p2_a_part_that_one_pass_cannot_read_is_named() {
    let folder = test_folder("missing");
    publish(
        folder.path(),
        &written(folder.path(), &with_unknown(&[101, 501]), 0),
    );
    let whole = in_doubt(|| open(folder.path())).unwrap();
    let indexes = whole.all.iter().map(|pending| pending.deletion.index);
    assert_eq!(indexes.collect::<Vec<_>>(), [100, 500]);
    for fails in [(|read| read == 0) as fn(u64) -> bool, |read| read == 1] {
        let (_, location) = flaky(folder.path(), "tile/entries/000", fails);
        let found = in_doubt(|| location.open(None)).unwrap();
        let missing = found.missing.hides_nothing().unwrap_err();
        assert_eq!((missing.index, missing.end), (Some(0), Some(256)));
        assert_eq!(missing.trouble, Trouble::Unreadable);
    }
}

#[test]
fn p2_entries_between_the_passes_are_not_searched() {
    let folder = test_folder("missing");
    let entries = written(folder.path(), &with_unknown(&[101, 401]), 0);
    std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
    publish(folder.path(), &entries[..300]);
    let found = in_doubt(|| {
        let log = open(folder.path());
        publish(folder.path(), &entries);
        log
    });
    let found = found.unwrap();
    let indexes = found.all.iter().map(|pending| pending.deletion.index);
    assert_eq!((indexes.collect::<Vec<_>>(), found.end), (vec![100], 300));
}

#[test]
fn p4_an_unknown_outcome_hides_no_deletion() {
    let folder = test_folder("missing");
    let mut entries = written(folder.path(), &many()[..8], 0);
    std::fs::remove_dir_all(folder.path().join("journal")).unwrap();
    let text = String::from_utf8(entries[3].clone()).unwrap();
    let newer = text.replace("\"outcome\":\"deleted\"", "\"outcome\":\"half_deleted\"");
    entries[3] = newer.into_bytes();
    publish(folder.path(), &entries);
    for limit in [None, Some(10)] {
        let (list, searched) = answer(folder.path(), &Filter::default(), limit);
        assert_eq!(hidden(searched.missing), BTreeSet::from([3]));
        let open = |deletion: &Deletion| deletion.outcome == Progress::Open;
        assert_eq!(
            list.iter().map(open).collect::<Vec<_>>(),
            [false, true, false, false]
        );
    }
}

#[test]
fn p4_a_limit_searches_whole_bundles_and_no_more() {
    let folder = test_folder("missing");
    let entries = written(folder.path(), &many(), 0);
    publish(folder.path(), &entries);
    // The newest bundle has 88 entries: 44 deletions.
    let (list, searched) = answer(folder.path(), &Filter::default(), Some(44));
    assert_eq!((list.len(), searched.range), (44, 512..600));
    assert_eq!(searched.missing.none(), Ok(()));
    let path = folder.path().join("tile/entries/002.p/88");
    let mut bundle = std::fs::read(&path).unwrap();
    bundle[40] ^= 1;
    std::fs::write(&path, bundle).unwrap();
    let (list, searched) = answer(folder.path(), &Filter::default(), Some(1));
    assert_eq!(
        (list.len(), hidden(searched.missing)),
        (1, BTreeSet::from([512]))
    );
}

#[test]
fn a_source_that_does_not_answer_ends_the_search() {
    let folder = test_folder("missing");
    let alive = sample::bytes(0, Kind::Alive {});
    publish(folder.path(), &vec![alive; 100 * 256]);
    for (limit, read) in [(None, 32 * 256..100 * 256), (Some(1), 0..68 * 256)] {
        let (files, location) = flaky(folder.path(), "tile/entries/", |_| true);
        let mut log = location.open(None).unwrap();
        let searched = pick(&mut log, &Filter::default(), limit, |_| {
            Ok::<_, MissingRange>(())
        });
        let (ranges, _) = searched.unwrap().missing.ranges();
        let rest = ranges
            .iter()
            .find(|range| range.what.starts_with("not read"));
        let rest = rest.expect("the search gives up");
        assert_eq!(rest.index..rest.end, Some(read.start)..Some(read.end));
        assert!(
            files.reads() <= 40,
            "{}: the workers read ahead",
            files.reads()
        );
    }
}

#[test]
fn a_tile_that_cannot_be_mended_is_tried_once() {
    let folder = test_folder("missing");
    let alive = sample::bytes(0, Kind::Alive {});
    publish(folder.path(), &vec![alive; 65_536 + 256]);
    std::fs::remove_file(folder.path().join("tile/1/000")).unwrap();
    std::fs::remove_file(folder.path().join("tile/0/000")).unwrap();
    let (files, location) = flaky(folder.path(), "tile/0/", |_| false);
    let mut log = location.open(None).unwrap();
    let searched = pick(&mut log, &Filter::default(), None, |_| {
        Ok::<_, MissingRange>(())
    });
    assert_eq!(hidden(searched.unwrap().missing), (0..65_536).collect());
    assert!(files.reads() < 1_000, "{} reads", files.reads());
}
