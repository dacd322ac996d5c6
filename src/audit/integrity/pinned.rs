//! The files whose content must not change: `lock`, `verifier`, and the segments that the writer no
//! longer uses.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{found, look};
use crate::audit::disk::names::JOURNAL;
use crate::audit::disk::{File, Folder, Identity, if_exists};
use crate::audit::journal::batch::{Link, tag_holds};
use crate::audit::journal::segment::{self, Segment};
use crate::audit::journal::{Fault, ReadError};
use crate::audit::log::key::Key;
use crate::audit::status::{Cause, Unavailable, cause_of_reading, closed, trouble};

/// Two changes of a file within this period may leave the same time of change.
const TICK: Duration = Duration::from_millis(50);
/// The number of segments that one call of [`Segments::check`] checks. The next call continues with the
/// next segments.
const AT_ONCE: usize = 64;

/// The last known time of change of a file, and when this process first saw this time. `None` if no time
/// of change is known.
#[derive(Debug, Default)]
pub(super) struct LastChange(Option<(i128, Instant)>);

impl LastChange {
    /// Returns `true` if this process first saw this time of change more than [`TICK`] ago: the caller can
    /// then skip the check of the content. Otherwise notes the time, and the caller must check the content.
    pub(super) fn is_checked(&mut self, changed: i128) -> bool {
        let known = self.0.filter(|(known, _)| *known == changed);
        let (_, first) = known.unwrap_or_else(|| (changed, Instant::now()));
        self.0 = Some((changed, first));
        #[cfg(test)]
        if crate::audit::by_hand::is_wanted() {
            return known.is_some();
        }
        first.elapsed() > TICK
    }
}

/// A small file whose whole content this process knows: `lock` or `verifier`.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    name: &'static str,
    file: Arc<dyn File>,
    is: Identity,
    pub(crate) content: String,
    last_change: LastChange,
}

impl PinnedFile {
    pub(crate) fn new(
        name: &'static str,
        file: Arc<dyn File>,
        content: String,
    ) -> io::Result<Self> {
        let is = file.identity()?;
        Ok(Self {
            name,
            file,
            is,
            content,
            last_change: LastChange(Some((is.changed, Instant::now()))),
        })
    }

    /// Checks the file. If the content may have changed, compares the content.
    pub(super) fn check(&mut self, folder: &dyn Folder) -> Result<(), Unavailable> {
        let now = look(folder, self.name, &self.is)?;
        if self.last_change.is_checked(now.changed) {
            return Ok(());
        }
        self.compare()
            .inspect_err(|_| self.last_change = LastChange::default())
    }

    /// Writes the content again after another process has overwritten it.
    pub(super) fn write_again(&mut self) -> io::Result<()> {
        self.last_change = LastChange::default();
        self.file.clear()?;
        self.file.write_at(self.content.as_bytes(), 0)
    }

    /// Returns the open file; `None` if its name in this folder leads to another file or to none.
    pub(crate) fn file_in(&self, folder: &dyn Folder) -> io::Result<Option<Arc<dyn File>>> {
        let now = if_exists(folder.look(self.name))?;
        let is_ours = now.is_some_and(|now| now.same_file(&self.is));
        Ok(is_ours.then(|| Arc::clone(&self.file)))
    }

    /// Whether the file holds the line of another writer. The line that each writer writes to `lock`
    /// consists of hexadecimal digits, spaces and hyphens.
    pub(super) fn is_of_another(&self) -> bool {
        let mut found = [0; 128];
        let length = self.file.read_at(&mut found, 0).unwrap_or(0);
        let Some(line) = found[..length].strip_suffix(b"\n") else {
            return false;
        };
        let is_name = |b: &u8| b.is_ascii_hexdigit() || b" -".contains(b);
        !line.is_empty() && line.iter().all(is_name) && found[..length] != *self.content.as_bytes()
    }

    fn compare(&self) -> Result<(), Unavailable> {
        let (name, content) = (self.name, self.content.as_bytes());
        let mut found = vec![0; content.len() + 1];
        let length = self.file.read_at(&mut found, 0);
        let length = length.map_err(|e| trouble(&e, &format!("cannot read `{name}`")))?;
        let found = &found[..length];
        if found == content {
            return Ok(());
        }
        if content.starts_with(found) {
            let what = format!("`{name}` is shorter than it was");
            return Err(closed(Cause::Truncated, what));
        }
        let what = format!("`{name}` holds other bytes than the gateway wrote");
        Err(closed(Cause::Altered, what))
    }
}

/// The last valid batch of each segment, by the segment's number.
pub(crate) type Ends = BTreeMap<u64, Link>;

/// The pinned segments by number. The writer checks the segments. The publisher unpins a segment before
/// it removes the file.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pinned: Mutex<BTreeMap<u64, PinnedSegment>>,
    /// The number of the segment that was checked last.
    cursor: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PinnedSegment {
    /// The identity at the last check. If the time of change is [`i128::MIN`], the next check
    /// compares the content.
    pub(super) is: Identity,
    /// The last valid batch of the segment, if known. Through the chain of digests, this batch fixes the
    /// content of all batches before it.
    pub(super) last: Option<Link>,
    /// The offset from which all bytes must be zero; `None` if no such offset is known.
    pub(super) zero_from: Option<u64>,
}

impl Segments {
    pub(super) fn keep(&self, number: u64, segment: PinnedSegment) {
        self.pinned().insert(number, segment);
    }

    /// Pins all segments in the folder except the spare. `ends` holds the last valid batches that the
    /// opening of the log found.
    pub(crate) fn keep_all(
        &self,
        folder: &dyn Folder,
        mut ends: Ends,
        spare: Option<u64>,
    ) -> Result<(), Unavailable> {
        let mut numbers = found(segment::numbers(folder), JOURNAL)?;
        numbers.retain(|number| Some(*number) != spare);
        for number in numbers {
            let pinned = PinnedSegment {
                is: found(folder.look(&segment::name(number)), JOURNAL)?,
                last: ends.remove(&number),
                zero_from: None,
            };
            self.keep(number, pinned);
        }
        Ok(())
    }

    /// Unpins a segment that is about to be removed.
    pub(crate) fn forget(&self, number: u64) {
        self.pinned().remove(&number);
    }

    /// Checks the next segments, or all segments if `all`. If a segment may have changed, compares its
    /// content.
    pub(super) fn check(
        &self,
        folder: &dyn Folder,
        key: &Key,
        all: bool,
    ) -> Result<(), Unavailable> {
        for (number, mut segment) in self.turn(all) {
            let checked = segment.check(folder, number, key);
            // If the publisher has unpinned the segment meanwhile, the file may be removed, so the error
            // does not count.
            if let Some(pinned) = self.pinned().get_mut(&number) {
                *pinned = segment;
                checked?;
            }
            self.cursor.store(number, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Copies what is known of the next segments after the cursor, or of all segments. The check uses copies
    /// so that it does not hold the mutex while it reads files.
    fn turn(&self, all: bool) -> Vec<(u64, PinnedSegment)> {
        let (pinned, cursor) = (self.pinned(), self.cursor.load(Ordering::Relaxed));
        let count = if all { pinned.len() } else { AT_ONCE };
        let turn = pinned.range(cursor + 1..).chain(pinned.range(..=cursor));
        let turn = turn.map(|(number, segment)| (*number, *segment));
        turn.take(count).collect()
    }

    /// The numbers and the lengths of the pinned segments.
    pub(crate) fn held(&self) -> Vec<(u64, u64)> {
        let pinned = self.pinned();
        let held = pinned.iter().map(|(number, k)| (*number, k.is.bytes));
        held.collect()
    }

    /// Compares the content of a segment even if the file's time of change is the known one. Does not hold
    /// the mutex during the comparison.
    pub(crate) fn read_again(
        &self,
        folder: &dyn Folder,
        number: u64,
        key: &Key,
    ) -> Result<(), Unavailable> {
        let known = self.pinned().get(&number).copied();
        let checked = known.map_or(Ok(()), |known| known.compare(folder, number, key));
        // If the publisher has unpinned the segment meanwhile, the file may be removed, so the error does
        // not count.
        checked.or_else(|found| match self.pinned().contains_key(&number) {
            true => Err(found),
            false => Ok(()),
        })
    }

    fn pinned(&self) -> MutexGuard<'_, BTreeMap<u64, PinnedSegment>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PinnedSegment {
    fn check(&mut self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        let now = look(folder, &segment::name(number), &self.is)?;
        if self.is.changed != now.changed {
            self.is.changed = i128::MIN;
            self.compare(folder, number, key)?;
            self.is.changed = now.changed;
        }
        Ok(())
    }

    fn compare(&self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        match (&self.last, self.zero_from) {
            (None, None) => Ok(()),
            (last, zero_from) => compare(folder, number, key, last.as_ref(), zero_from),
        }
    }
}

/// Checks that the batches of a segment form a chain that ends with `last`, and that the segment holds
/// only zeros from `zero_from` on.
pub(super) fn compare(
    folder: &dyn Folder,
    number: u64,
    key: &Key,
    last: Option<&Link>,
    zero_from: Option<u64>,
) -> Result<(), Unavailable> {
    let name = segment::name(number);
    let altered = |offset: u64, what: &str| {
        let what = format!("{name}, offset {offset}: {what}");
        Err(closed(Cause::Altered, what))
    };
    let Some(segment) = Segment::open(folder, number).map_err(misread)? else {
        return Err(closed(Cause::Unlinked, format!("{name} was unlinked")));
    };
    let (mut offset, mut before) = (0, None::<Link>);
    while let Some(last) = last.filter(|last| before != Some(**last)) {
        let batch = segment.own_batch_at(offset).map_err(misread)?;
        let ours = batch.filter(|(batch, bytes)| {
            offset <= last.place.offset
                && before.is_none_or(|before| batch.before == before)
                && tag_holds(bytes, batch, key)
        });
        let Some((batch, _)) = ours else {
            return altered(offset, "it holds other bytes than the gateway wrote");
        };
        offset += batch.length as u64;
        before = Some(batch.link);
    }
    let other = zero_from.map(|from| segment.first_nonzero(from));
    match other.transpose().map_err(misread)?.flatten() {
        None => Ok(()),
        Some(offset) => altered(offset, "another program wrote there"),
    }
}

/// The reason to refuse deletions if a pinned segment cannot be read up to its known end.
fn misread(error: ReadError) -> Unavailable {
    let cause = match error.fault {
        Fault::Io(kind) => cause_of_reading(kind),
        _ => Cause::Altered,
    };
    closed(cause, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::log::key::test_key;
    use crate::audit::test_folder;

    #[test]
    fn a_segment_must_be_forgotten_before_its_removal() {
        let outer = test_folder("segments");
        let path = outer.path().join(segment::name(7));
        std::fs::write(&path, [0; 8]).unwrap();
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let segments = Segments::default();
        segments.keep_all(&*folder, Ends::new(), None).unwrap();
        assert_eq!(segments.check(&*folder, &test_key(), false), Ok(()));
        std::fs::remove_file(&path).unwrap();
        let found = segments.check(&*folder, &test_key(), false).unwrap_err();
        assert_eq!(found.cause, Cause::Unlinked);
        segments.forget(7);
        assert_eq!(segments.check(&*folder, &test_key(), false), Ok(()));
    }

    #[test]
    fn every_segment_gets_its_turn() {
        let outer = test_folder("segments-many");
        for number in 1..=200 {
            std::fs::write(outer.path().join(segment::name(number)), b"").unwrap();
        }
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let segments = Segments::default();
        segments.keep_all(&*folder, Ends::new(), None).unwrap();
        std::fs::remove_file(outer.path().join(segment::name(150))).unwrap();
        let checked = (0..4).map(|_| segments.check(&*folder, &test_key(), false));
        assert!(checked.collect::<Vec<_>>().iter().any(Result::is_err));
        assert!(segments.check(&*folder, &test_key(), true).is_err());
    }
}
