//! Tampering with the files of a folder. Batch `n` of the sample is one block long and holds entry
//! `n`.

use super::sample::{sound, tamper, write, write_batches};
use super::*;
use crate::audit::journal::batch::BLOCK;
use crate::audit::log::key::test_key;
use crate::audit::log::merkle;
use crate::audit::test_folder;

mod published;

fn verify(directory: &Path) -> Result<Summary, Failure> {
    folder(directory, Some(&test_key()), |_, _, _| {})
}

/// The result after a change to the sample's segment.
fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Result<Summary, Failure> {
    let folder = test_folder("verify");
    write(folder.path(), &sound());
    tamper(folder.path(), change);
    verify(folder.path())
}

fn block(number: usize) -> std::ops::Range<usize> {
    number * BLOCK..(number + 1) * BLOCK
}

#[test]
fn p4_a_sound_folder_verifies_with_and_without_the_key() {
    let directory = test_folder("verify");
    write(directory.path(), &sound());
    let with = verify(directory.path()).unwrap();
    let without = folder(directory.path(), None, |_, _, _| {}).unwrap();
    assert_eq!((with.entries, with.open), (7, 1));
    assert_eq!(with, without);
}

#[test]
fn every_entry_is_shown_with_its_index_and_leaf() {
    let directory = test_folder("verify");
    write(directory.path(), &sound());
    let mut seen = Vec::new();
    folder(directory.path(), None, |index, _, leaf| {
        seen.push((index, *leaf));
    })
    .unwrap();
    let expected: Vec<_> = (0..)
        .zip(sound().iter().map(|bytes| merkle::leaf(bytes)))
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_young_trail_without_entries_verifies() {
    let directory = test_folder("verify");
    write(directory.path(), &[]);
    assert_eq!(verify(directory.path()), Ok(Summary::default()));
}

#[test]
fn p4_a_missing_folder_journal_or_segment_is_found() {
    let directory = test_folder("verify");
    let missing = |path: &Path| verify(path).unwrap_err().trouble;
    assert_eq!(missing(&directory.path().join("nowhere")), Trouble::Missing);
    assert_eq!(missing(directory.path()), Trouble::Missing);
    std::fs::create_dir(directory.path().join(crate::audit::disk::names::JOURNAL)).unwrap();
    assert_eq!(missing(directory.path()), Trouble::Missing);
}

#[test]
fn a_file_in_the_place_of_the_journal_is_damage() {
    let directory = test_folder("verify");
    std::fs::write(
        directory.path().join(crate::audit::disk::names::JOURNAL),
        b"a file",
    )
    .unwrap();
    assert_eq!(
        verify(directory.path()).unwrap_err().trouble,
        Trouble::Damaged
    );
}

#[test]
fn p4_a_flipped_bit_in_any_batch_but_the_newest_is_found() {
    for number in 0..6 {
        let at = number * BLOCK + 200;
        let failure = changed(|segment| segment[at] ^= 4).unwrap_err();
        assert_eq!(failure.trouble, Trouble::Damaged);
        let place = failure.place.unwrap();
        assert_eq!(place.offset as usize, number * BLOCK, "{failure}");
    }
}

#[test]
fn an_interrupted_write_is_reported_and_no_fault() {
    let summary = changed(|segment| segment[block(6)][1024..].fill(0)).unwrap();
    assert_eq!((summary.entries, summary.cut_off), (6, true));
    assert!(!changed(|_| {}).unwrap().cut_off);
}

#[test]
fn any_change_of_the_newest_batch_reads_as_torn() {
    let summary = changed(|segment| segment[block(6)][200] ^= 4).unwrap();
    assert_eq!((summary.entries, summary.cut_off), (6, true));
    let summary = changed(|segment| segment.truncate(block(6).end - 1)).unwrap();
    assert_eq!((summary.entries, summary.cut_off), (6, true));
}

#[test]
fn p4_a_batch_of_another_segment_counts_for_nothing() {
    let directory = test_folder("verify");
    write(directory.path(), &sound());
    let journal = directory.path().join(crate::audit::disk::names::JOURNAL);
    let batch = std::fs::read(journal.join("0000000001")).unwrap()[block(0)].to_vec();
    std::fs::write(journal.join("0000000002"), batch).unwrap();
    let summary = verify(directory.path()).unwrap();
    assert_eq!((summary.entries, summary.cut_off), (7, true));
}

#[test]
fn p4_a_dropped_batch_is_found() {
    let zeroed = changed(|segment| segment[block(3)].fill(0)).unwrap_err();
    assert_eq!(zeroed.trouble, Trouble::Damaged);
    let closed_up = changed(|segment| {
        segment.drain(block(3));
        segment.extend([0; BLOCK]);
    });
    assert_eq!(closed_up.unwrap_err().trouble, Trouble::Damaged);
}

#[test]
fn p4_swapped_batches_are_found() {
    let failure = changed(|segment| {
        let third = segment[block(3)].to_vec();
        segment.copy_within(block(4), block(3).start);
        segment[block(4)].copy_from_slice(&third);
    });
    assert_eq!(failure.unwrap_err().trouble, Trouble::Damaged);
}

#[test]
fn p4_a_doubled_batch_is_found() {
    let failure = changed(|segment| segment.copy_within(block(6), block(7).start));
    assert_eq!(failure.unwrap_err().trouble, Trouble::Damaged);
}

#[test]
fn p4_a_trail_written_with_another_key_is_found() {
    let directory = test_folder("verify");
    let other = Key::generate(test_key().origin()).unwrap();
    let batches: Vec<_> = sound().into_iter().map(|entry| vec![entry]).collect();
    write_batches(directory.path(), &batches, &other);
    let failure = verify(directory.path()).unwrap_err();
    assert_eq!(failure.trouble, Trouble::Damaged);
    assert!(failure.what.contains("key"), "{failure}");
}

#[test]
fn p4_inconsistent_entries_under_valid_tags_are_found() {
    let directory = test_folder("verify");
    let mut entries = sound();
    entries.push(entries[5].clone());
    write(directory.path(), &entries);
    let failure = verify(directory.path()).unwrap_err();
    assert_eq!(failure.index, Some(7));
    let text = failure.to_string();
    assert!(
        text.starts_with("entry 7 (journal segment 0000000001, offset 28672): "),
        "{text}"
    );
}
