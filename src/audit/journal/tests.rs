//! Tests of the journal against a simple model: the list of written entries.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::append::Appender;
use super::batch::{BLOCK, Link};
use super::spare::Spares;
use super::*;
use crate::audit::disk::fake::FakeDisk;
use crate::audit::disk::{Access, Disk, Folder};
use crate::audit::log::key::{Key, test_key};

/// The length of every segment in the tests.
const SEGMENT: u64 = 16 * BLOCK as u64;

/// A journal, and the entries that it must hold.
struct Journal {
    folder: Arc<dyn Folder>,
    spares: Spares,
    appender: Appender,
    before: Link,
    model: Vec<Vec<u8>>,
}

impl Journal {
    fn new() -> Self {
        let folder = FakeDisk::default()
            .folder(Path::new("journal"), Some(0))
            .unwrap();
        Self {
            spares: Spares::new(Arc::clone(&folder), 0, SEGMENT),
            folder,
            appender: Appender::new(Arc::new(test_key()), Link::default()),
            before: Link::default(),
            model: Vec::new(),
        }
    }

    fn append(&mut self, entries: &[Vec<u8>]) -> Link {
        if !self.appender.has_room(SEGMENT as usize / 2) {
            self.appender.take(self.spares.make_now(SEGMENT).unwrap());
        }
        let link = self.appender.write(entries).unwrap();
        self.before = std::mem::replace(&mut self.appender.last, link);
        self.model.extend_from_slice(entries);
        link
    }

    /// Acts like the writer after a failed sync: the last batch is void and written again in a new
    /// segment.
    fn fail_and_rewrite(&mut self, last: &[Vec<u8>]) {
        if self.before.sequence + 1 != self.appender.last.sequence {
            return;
        }
        self.model.truncate(self.model.len() - last.len());
        self.appender = Appender::new(Arc::new(test_key()), self.before);
        self.append(last);
    }

    fn flip(&self, place: Place, byte: u64) {
        let file = self
            .folder
            .open(&segment::name(place.segment), Access::Write)
            .unwrap();
        let mut found = [0];
        file.read_at(&mut found, place.offset + byte).unwrap();
        file.write_at(&[found[0] ^ 0x10], place.offset + byte)
            .unwrap();
    }

    fn read(&self, key: Option<&Key>) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut found = Vec::new();
        for read in read_folder(Arc::clone(&self.folder), key)? {
            let read = read?;
            assert_eq!(read.index, found.len() as u64);
            found.push(read.bytes);
        }
        Ok(found)
    }
}

fn entry(byte: u8, length: usize) -> Vec<u8> {
    vec![byte; length]
}

#[derive(Clone, Debug)]
enum Move {
    Append(Vec<usize>),
    FailTheLast,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let lengths = prop::collection::vec(0..5_000_usize, 1..5);
    let one = prop_oneof![4 => lengths.prop_map(Move::Append), 1 => Just(Move::FailTheLast)];
    prop::collection::vec(one, 1..30)
}

fn play(moves: &[Move]) -> Journal {
    let mut journal = Journal::new();
    let mut last = Vec::new();
    for (at, one) in moves.iter().enumerate() {
        match one {
            Move::Append(lengths) => {
                last = lengths.iter().map(|n| entry(at as u8, *n)).collect();
                journal.append(&last);
            }
            Move::FailTheLast if !last.is_empty() => journal.fail_and_rewrite(&last),
            Move::FailTheLast => {}
        }
    }
    journal
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn readers_find_the_entries_across_new_and_failed_segments(moves in moves()) {
        let journal = play(&moves);
        prop_assert_eq!(&journal.read(None).unwrap(), &journal.model);
        prop_assert_eq!(&journal.read(Some(&test_key())).unwrap(), &journal.model);
    }

    #[test]
    fn p4_a_flipped_bit_before_the_last_batch_is_found(
        moves in moves(), pick in any::<prop::sample::Index>(), byte in 0..BLOCK as u64,
    ) {
        let journal = play(&moves);
        let reads = read_folder(Arc::clone(&journal.folder), None).unwrap();
        let mut places: Vec<Place> = reads.map(|r| r.unwrap().place).collect();
        places.dedup();
        places.pop();
        prop_assume!(!places.is_empty());
        let place = places[pick.index(places.len())];
        journal.flip(place, byte);
        let error = journal.read(None).unwrap_err();
        prop_assert_eq!(error.fault, Fault::Damaged);
    }
}

#[test]
fn a_torn_last_batch_ends_the_journal_at_every_block() {
    for torn in 0..4 {
        let mut journal = Journal::new();
        journal.append(&[entry(1, 100)]);
        let link = journal.append(&[entry(2, 4 * BLOCK - 300)]);
        let name = segment::name(link.place.segment);
        let file = journal.folder.open(&name, Access::Write).unwrap();
        let block = link.place.offset + (torn * BLOCK) as u64;
        file.write_at(&[0; BLOCK], block).unwrap();
        assert_eq!(journal.read(None).unwrap(), [entry(1, 100)]);
    }
}

#[test]
fn a_batch_after_a_gap_proves_damage() {
    let mut journal = Journal::new();
    journal.append(&[entry(1, 100)]);
    let gap = journal.append(&[entry(2, 100)]);
    journal.append(&[entry(3, 100)]);
    let file = journal
        .folder
        .open(&segment::name(1), Access::Write)
        .unwrap();
    file.write_at(&[0; BLOCK], gap.place.offset).unwrap();
    let error = journal.read(None).unwrap_err();
    assert_eq!(error.place, gap.place);
    assert_eq!(error.fault, Fault::Damaged);
}

/// Writes the head of a newer batch, followed by nothing that this program knows.
fn write_newer(journal: &Journal, place: Place) {
    let file = journal
        .folder
        .open(&segment::name(place.segment), Access::Write)
        .unwrap();
    file.write_at(b"LYCHGJ\x00\x02of another form", place.offset)
        .unwrap();
}

#[test]
fn p4_a_newer_batch_is_never_taken_for_a_torn_write() {
    let all = |journal: &Journal| {
        let places = journal.model.len() as u64;
        (0..places + 2).map(|block| block * BLOCK as u64)
    };
    let written = || {
        let mut journal = Journal::new();
        for i in 0..3 {
            journal.append(&[entry(i, 100)]);
        }
        journal
    };
    let last = written().appender.last.place.offset;
    // At each batch, at the end, and one block after it.
    for offset in all(&written()) {
        let journal = written();
        let place = Place { segment: 1, offset };
        write_newer(&journal, place);
        let error = journal.read(None).unwrap_err();
        assert_eq!(error.place, place);
        // This program never writes after a newer one, so a newer batch before its own is damage.
        if offset < last {
            assert_eq!(error.fault, Fault::Damaged, "{error}");
            continue;
        }
        assert_eq!(error.fault, Fault::Newer, "{error}");
        let what = "format version 2, and this program reads version 1: run the newer program";
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn p4_a_newer_batch_before_a_later_segment_is_damage() {
    for (segment, offset) in [(1, 0), (1, BLOCK as u64), (2, 0)] {
        let mut journal = Journal::new();
        for i in 0..2 {
            journal.append(&[entry(i, 100)]);
        }
        let spare = journal.spares.make_now(SEGMENT).unwrap();
        journal.appender.take(spare);
        journal.append(&[entry(2, 100)]);
        if segment == 2 {
            journal.append(&[entry(3, 100)]);
        }
        write_newer(&journal, Place { segment, offset });
        let error = journal.read(None).unwrap_err();
        assert_eq!(
            (error.place.segment, error.fault),
            (segment, Fault::Damaged)
        );
    }
}

#[test]
fn p4_a_segment_with_a_newer_batch_is_no_spare() {
    let mut journal = Journal::new();
    journal.append(&[entry(1, 100)]);
    journal.spares.make_now(SEGMENT).unwrap();
    let place = Place {
        segment: 2,
        offset: 0,
    };
    write_newer(&journal, place);
    let error = journal.read(Some(&test_key())).unwrap_err();
    assert_eq!((error.place.segment, error.fault), (2, Fault::Newer));
}

#[test]
fn an_older_version_than_the_first_is_a_torn_write() {
    let mut journal = Journal::new();
    let link = journal.append(&[entry(1, 100)]);
    let file = journal
        .folder
        .open(&segment::name(1), Access::Write)
        .unwrap();
    let end = link.place.offset + BLOCK as u64;
    file.write_at(b"LYCHGJ\x00\x00", end).unwrap();
    assert_eq!(journal.read(None).unwrap(), [entry(1, 100)]);
}

#[test]
fn a_missing_segment_is_damage() {
    let mut journal = Journal::new();
    for i in 0..40 {
        journal.append(&[entry(i, 100)]);
    }
    journal.folder.remove(&segment::name(2)).unwrap();
    assert_eq!(journal.read(None).unwrap_err().fault, Fault::Damaged);
}

#[test]
fn p4_a_batch_that_another_key_wrote_is_foreign() {
    let mut journal = Journal::new();
    let last = journal.append(&[entry(1, 100)]);
    let stranger = Arc::new(Key::generate("lychgate.test/log").unwrap());
    journal.appender = Appender::new(Arc::clone(&stranger), last);
    journal.append(&[entry(2, 100)]);
    assert_eq!(
        journal.read(Some(&test_key())).unwrap_err().fault,
        Fault::Foreign
    );
    // Without the key the reader checks only digests and order.
    assert_eq!(journal.read(None).unwrap().len(), 2);
}

#[test]
fn a_spare_and_an_empty_folder_hold_nothing() {
    let mut journal = Journal::new();
    assert!(journal.read(None).unwrap().is_empty());
    journal.spares.make_now(SEGMENT).unwrap();
    assert!(journal.read(None).unwrap().is_empty());
    journal.append(&[entry(1, 1)]);
    journal.spares.make_now(SEGMENT).unwrap();
    assert_eq!(journal.read(None).unwrap().len(), 1);
}

#[test]
fn a_reader_beside_a_writer_sees_a_prefix() {
    let mut journal = Journal::new();
    journal.append(&[entry(1, 10)]);
    let mut reads = read_folder(Arc::clone(&journal.folder), None).unwrap();
    for i in 2..40 {
        journal.append(&[entry(i, 10)]);
        if let Some(read) = reads.next() {
            let read = read.unwrap();
            assert_eq!(read.bytes, journal.model[read.index as usize]);
        }
    }
    for read in reads {
        let read = read.unwrap();
        assert_eq!(read.bytes, journal.model[read.index as usize]);
    }
}

#[test]
fn a_folder_without_a_journal_is_reported() {
    let error = read(Path::new("/no/such/folder"), None).unwrap_err();
    assert_eq!(error.fault, Fault::Missing);
}

#[test]
fn a_byte_beyond_the_longest_batch_proves_damage() {
    let mut journal = Journal::new();
    let long = 3 * batch::MAX_BATCH as u64;
    let prepared = journal.spares.make_now(long).unwrap();
    journal.appender.take(prepared);
    let link = journal.append(&[entry(1, 100)]);
    let file = journal
        .folder
        .open(&segment::name(1), Access::Write)
        .unwrap();
    let end = link.place.offset + BLOCK as u64;
    // Within one batch's length it may be a torn write.
    file.write_at(b"x", end + 500).unwrap();
    assert_eq!(journal.read(None).unwrap().len(), 1);
    file.write_at(b"x", end + batch::MAX_BATCH as u64).unwrap();
    assert_eq!(journal.read(None).unwrap_err().fault, Fault::Damaged);
}

#[test]
fn batches_after_the_point_of_continuation_are_void() {
    let mut journal = Journal::new();
    journal.append(&[entry(1, 100)]);
    let before = journal.appender.last;
    journal.append(&[entry(2, 100)]);
    journal.append(&[entry(3, 100)]);
    journal.appender = Appender::new(Arc::new(test_key()), before);
    journal.append(&[entry(4, 100)]);
    assert_eq!(journal.read(None).unwrap(), [entry(1, 100), entry(4, 100)]);
}

#[test]
fn p4_swapped_batches_are_damage() {
    let mut journal = Journal::new();
    let places: Vec<_> = (0..3)
        .map(|i| journal.append(&[entry(i, 100)]).place)
        .collect();
    let file = journal
        .folder
        .open(&segment::name(1), Access::Write)
        .unwrap();
    let mut blocks = [[0; BLOCK]; 2];
    for (block, place) in blocks.iter_mut().zip(&places) {
        file.read_at(block, place.offset).unwrap();
    }
    file.write_at(&blocks[1], places[0].offset).unwrap();
    file.write_at(&blocks[0], places[1].offset).unwrap();
    assert_eq!(journal.read(None).unwrap_err().fault, Fault::Damaged);
}

#[test]
fn p4_a_dropped_batch_is_found_if_the_next_takes_its_place() {
    let mut journal = Journal::new();
    let places: Vec<_> = (0..3)
        .map(|i| journal.append(&[entry(i, 100)]).place)
        .collect();
    let file = journal
        .folder
        .open(&segment::name(1), Access::Write)
        .unwrap();
    let mut block = [0; BLOCK];
    file.read_at(&mut block, places[2].offset).unwrap();
    file.write_at(&block, places[1].offset).unwrap();
    file.write_at(&[0; BLOCK], places[2].offset).unwrap();
    assert_eq!(journal.read(None).unwrap_err().fault, Fault::Damaged);
}
