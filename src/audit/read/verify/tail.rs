//! What stands behind the last whole batch: zeros, a write that a crash cut off, or a batch that
//! was altered.
//!
//! A write that is cut off leaves sectors as they were before, and before they were zero. So where
//! every sector that a batch fills holds something and its digest is wrong all the same, it was
//! written whole and altered afterwards; nor does a crash make a file shorter.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::failure::{Failure, Trouble};
use crate::audit::disk::{Access, Disk, File, Folder, RealDisk, read_exact};
use crate::audit::journal::batch::{BLOCK, MAX_BATCH, length_of};
use crate::audit::journal::segment::{Segment, name, numbers};
use crate::audit::journal::{FOLDER, Place};
use crate::audit::log::merkle::sha256;

/// The smallest piece of a file that a crash leaves either old or new.
const SECTOR: usize = 512;
/// A writer beside us has finished a write by then.
const PATIENCE: Duration = Duration::from_millis(100);

const COUNT: std::ops::Range<usize> = 32..36;
const LENGTH: std::ops::Range<usize> = 36..40;
const HEAD: usize = 88;
const TAG: usize = 32;
const DIGEST: usize = 32;

/// What the bytes behind the last whole batch are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    /// Nothing was written there.
    Clean,
    /// The beginning, or some sectors, of a batch.
    CutOff,
    /// A batch of which no sector is missing, and which is not as it was written.
    Altered,
}

/// Whether a cut-off write stands behind the last whole batch, which begins at `last`: right behind
/// it, or where a later segment begins.
///
/// # Errors
/// Where what stands there was altered, or cannot be read.
pub(super) fn is_cut_off(directory: &Path, last: Option<Place>) -> Result<bool, Failure> {
    let folder = RealDisk
        .folder(directory, None)
        .and_then(|root| root.folder(FOLDER, None))
        .map_err(|error| unreadable(last, &error))?;
    let Some(end) = end_of(&*folder, last)? else {
        return Ok(false);
    };
    let all = numbers(&*folder).map_err(|error| unreadable(last, &error))?;
    let later = all.into_iter().filter(|number| *number > end.segment);
    let places = later.map(|segment| Place { segment, offset: 0 });
    let mut cut_off = false;
    for place in [end].into_iter().chain(places) {
        cut_off |= is_cut_off_at(&*folder, place)?;
    }
    Ok(cut_off)
}

fn is_cut_off_at(folder: &dyn Folder, place: Place) -> Result<bool, Failure> {
    let (tail, before) = look(folder, place)?;
    if tail != Tail::Altered {
        return Ok(tail == Tail::CutOff);
    }
    // It may have been seen while it was being written.
    std::thread::sleep(PATIENCE);
    let (tail, bytes) = look(folder, place)?;
    let is_whole = match segment(folder, place.segment)? {
        Some(segment) => segment.batch_at(place.offset)?.is_some(),
        None => false,
    };
    let is_settled = tail == Tail::Altered && bytes == before && !is_whole;
    if is_settled && !is_followed(folder, place.segment)? {
        let what =
            "the newest batch was altered: no sector of it is missing, and its digest is wrong";
        return Err(failure(Trouble::Damaged, Some(place), what.into()));
    }
    Ok(false)
}

/// Where the next batch would begin; `None` where there is no segment.
fn end_of(folder: &dyn Folder, last: Option<Place>) -> Result<Option<Place>, Failure> {
    let Some(last) = last else {
        let all = numbers(folder).map_err(|error| unreadable(None, &error))?;
        return Ok(all.first().map(|first| Place {
            segment: *first,
            offset: 0,
        }));
    };
    let Some(segment) = segment(folder, last.segment)? else {
        return Ok(None);
    };
    let batch = segment.batch_at(last.offset)?;
    Ok(batch.map(|(batch, _)| segment.place(last.offset + batch.length as u64)))
}

/// Whether a later segment goes on, so that what stands here is void.
fn is_followed(folder: &dyn Folder, number: u64) -> Result<bool, Failure> {
    let all = numbers(folder).map_err(|error| unreadable(None, &error))?;
    for later in all.into_iter().filter(|other| *other > number) {
        if let Some(segment) = segment(folder, later)?
            && segment.batch_at(0)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn segment(folder: &dyn Folder, number: u64) -> Result<Option<Segment>, Failure> {
    Ok(Segment::open(folder, number)?)
}

/// Reads as much as the longest batch could fill; a spare that is gone meanwhile holds nothing.
fn look(folder: &dyn Folder, place: Place) -> Result<(Tail, Vec<u8>), Failure> {
    let read = || -> io::Result<Vec<u8>> {
        let file: Arc<dyn File> = folder.open(&name(place.segment), Access::Read)?;
        let room = file.identity()?.bytes.saturating_sub(place.offset);
        let mut bytes = vec![0; MAX_BATCH.min(usize::try_from(room).unwrap_or(MAX_BATCH))];
        read_exact(&*file, &mut bytes, place.offset)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok((judge(&bytes), bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((Tail::Clean, Vec::new())),
        Err(error) => Err(unreadable(Some(place), &error)),
    }
}

/// Judges bytes that are no whole batch.
fn judge(bytes: &[u8]) -> Tail {
    let Some(written) = bytes.iter().rposition(|byte| *byte != 0).map(|at| at + 1) else {
        return Tail::Clean;
    };
    if written <= SECTOR || bytes.iter().take(SECTOR).all(|byte| *byte == 0) {
        return Tail::CutOff;
    }
    // The first sector is there, so the head is as it was written, or altered.
    let Some(batch) = length_of(bytes).and_then(|length| bytes.get(..length)) else {
        return Tail::Altered;
    };
    if written > batch.len() || is_whole_but_for_its_length(bytes, written) {
        return Tail::Altered;
    }
    // A digest may end in zeros, but hardly in so many.
    if written + 4 <= batch.len() {
        return Tail::CutOff;
    }
    match end_of_entries(batch) {
        Ok(end) => missing(batch, end, end + TAG).unwrap_or(Tail::Altered),
        Err(tail) => tail,
    }
}

/// Whether only the length in its head keeps it from being a batch.
fn is_whole_but_for_its_length(bytes: &[u8], written: usize) -> bool {
    let length = written.next_multiple_of(BLOCK).min(bytes.len());
    let mut batch = bytes[..length].to_vec();
    let body = length.saturating_sub(DIGEST);
    match (batch.get_mut(LENGTH), u32::try_from(length)) {
        (Some(field), Ok(length)) => field.copy_from_slice(&length.to_be_bytes()),
        _ => return false,
    }
    sha256(&batch[..body]) == batch[body..]
}

/// Where the entries end, where no sector of them is missing.
fn end_of_entries(batch: &[u8]) -> Result<usize, Tail> {
    let number = |bytes: Option<&[u8]>| -> Option<u32> {
        let digits = bytes?.iter();
        Some(digits.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    };
    let count = number(batch.get(COUNT)).ok_or(Tail::Altered)?;
    let mut at = HEAD;
    for _ in 0..count {
        if let Some(tail) = missing(batch, at, at + 2) {
            return Err(tail);
        }
        let length = number(batch.get(at..at + 2)).ok_or(Tail::Altered)?;
        let end = at + 2 + length as usize;
        if end + TAG + DIGEST > batch.len() {
            return Err(Tail::Altered);
        }
        if let Some(tail) = missing(batch, at, end) {
            return Err(tail);
        }
        at = end;
    }
    Ok(at)
}

/// What it means that a sector with some of these bytes is all zero; `None` where none is. Before a
/// sector that is missing the one before it is full: where it is not, the batch ended there.
fn missing(batch: &[u8], from: usize, to: usize) -> Option<Tail> {
    let sectors = batch.chunks(SECTOR).enumerate();
    let mut sectors = sectors.take(to.div_ceil(SECTOR)).skip(from / SECTOR);
    let (first, _) = sectors.find(|(_, sector)| sector.iter().all(|byte| *byte == 0))?;
    let before = batch.get(..first * SECTOR)?;
    Some(match before.ends_with(&[0; 4]) {
        true => Tail::Altered,
        false => Tail::CutOff,
    })
}

fn unreadable(place: Option<Place>, error: &io::Error) -> Failure {
    let what = format!("cannot read the end of the journal: {error}");
    failure(Trouble::Unreadable, place, what)
}

fn failure(trouble: Trouble, place: Option<Place>, what: String) -> Failure {
    Failure::new(trouble, what).placed(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::journal::batch::{Link, encode};
    use crate::audit::log::key::test_key;
    use crate::audit::read::verify::sample::sound;

    fn batch(entries: &[Vec<u8>]) -> Vec<u8> {
        let place = Place {
            segment: 1,
            offset: 0,
        };
        encode(entries, &Link::default(), place, &test_key())
            .unwrap()
            .0
    }

    fn long() -> Vec<u8> {
        batch(&[vec![b'x'; 3_000], vec![b'y'; 3_000]])
    }

    #[test]
    fn zeros_are_clean() {
        assert_eq!(judge(&[0; 8192]), Tail::Clean);
        assert_eq!(judge(&[]), Tail::Clean);
    }

    #[test]
    fn p4_every_flipped_bit_of_a_written_batch_is_an_alteration() {
        let good = batch(&sound());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&bad), Tail::Altered, "bit {bit}");
        }
    }

    #[test]
    fn p4_a_file_that_ends_within_a_batch_was_altered() {
        let good = long();
        assert_eq!(judge(&good[..BLOCK]), Tail::Altered);
    }

    #[test]
    fn a_write_cut_off_at_any_byte_is_one() {
        let good = long();
        for kept in 1..good.len() {
            let mut torn = vec![0; good.len()];
            torn[..kept].copy_from_slice(&good[..kept]);
            if torn == good || torn.iter().all(|byte| *byte == 0) {
                continue;
            }
            // The digest's last bytes alone are not looked at so closely.
            let expected = match kept + 4 > good.len() {
                true => Tail::Altered,
                false => Tail::CutOff,
            };
            assert_eq!(judge(&torn), expected, "{kept}");
        }
    }

    #[test]
    fn a_write_with_any_sector_missing_is_cut_off() {
        let good = long();
        for sector in 0..good.len() / SECTOR {
            let mut torn = good.clone();
            torn[sector * SECTOR..][..SECTOR].fill(0);
            let expected = if torn == good {
                Tail::Altered
            } else {
                Tail::CutOff
            };
            assert_eq!(judge(&torn), expected, "sector {sector}");
        }
    }
}
