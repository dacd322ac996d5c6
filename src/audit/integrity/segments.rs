//! The segments that are no longer in use: their content must stay, byte for byte.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::look;
use super::unread::misread;
use crate::audit::disk::{Folder, Identity};
use crate::audit::journal::Fault;
use crate::audit::journal::batch::{Link, tag_holds};
use crate::audit::journal::segment::{self, Segment};
use crate::audit::log::key::Key;
use crate::audit::status::{Cause, Unavailable, closed};

/// The number of segments checked after each sync; all get their turn.
const AT_ONCE: usize = 64;

/// The pinned segments by number. The writer checks them; the publisher forgets one before it
/// removes it.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    pinned: Mutex<BTreeMap<u64, PinnedSegment>>,
    /// The last valid batch of each segment during recovery; empty afterwards.
    ends: Mutex<BTreeMap<u64, Link>>,
    /// The number of the segment that was checked last.
    cursor: Mutex<u64>,
}

#[derive(Clone, Copy, Debug)]
struct PinnedSegment {
    is: Identity,
    /// The file's time of change at the last check. `None`: the next check compares its content.
    checked: Option<i128>,
    /// Its last valid batch; the digests fix all bytes before it.
    last: Option<Link>,
    /// All bytes from this offset on are zero; `None` if that is not known.
    zero_from: Option<u64>,
}

impl Segments {
    /// Pins a segment.
    pub(crate) fn keep(
        &self,
        number: u64,
        is: Identity,
        last: Option<Link>,
        zero_from: Option<u64>,
    ) {
        let pinned = PinnedSegment {
            checked: Some(is.changed),
            is,
            last,
            zero_from,
        };
        self.pinned().insert(number, pinned);
    }

    /// Notes a valid batch that recovery found: the last of its segment so far.
    pub(crate) fn ends_with(&self, link: &Link) {
        if link.place.segment != 0 {
            self.ends().insert(link.place.segment, *link);
        }
    }

    /// Pins all segments in the folder, with the last batches that recovery found.
    pub(super) fn keep_all(&self, folder: &dyn Folder) -> std::io::Result<()> {
        for number in segment::numbers(folder)? {
            let last = self.ends().remove(&number);
            self.keep(number, folder.look(&segment::name(number))?, last, None);
        }
        Ok(())
    }

    /// Unpins a segment that is about to be removed.
    pub(crate) fn forget(&self, number: u64) {
        self.pinned().remove(&number);
    }

    /// Checks the next segments, or all; compares the content of those that may have changed.
    pub(super) fn check(
        &self,
        folder: &dyn Folder,
        key: &Key,
        all: bool,
    ) -> Result<(), Unavailable> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, mut segment) in self.turn(*cursor, all) {
            let checked = segment.check(folder, number, key);
            // A segment that was forgotten in the meantime may be gone.
            if self.checked(number, segment) {
                checked?;
            }
            *cursor = number;
        }
        Ok(())
    }

    /// Copies of the next segments after this number, or of all, so that no lock is held while they
    /// are checked.
    fn turn(&self, cursor: u64, all: bool) -> Vec<(u64, PinnedSegment)> {
        let pinned = self.pinned();
        let count = if all { pinned.len() } else { AT_ONCE };
        let turn = pinned.range(cursor + 1..).chain(pinned.range(..=cursor));
        let turn = turn.map(|(number, segment)| (*number, *segment));
        turn.take(count).collect()
    }

    /// Stores the result of a check; false if the segment was forgotten in the meantime.
    fn checked(&self, number: u64, found: PinnedSegment) -> bool {
        let mut pinned = self.pinned();
        let known = pinned.get_mut(&number);
        known.map(|known| *known = found).is_some()
    }

    /// The pinned segments and their lengths.
    pub(crate) fn held(&self) -> Vec<(u64, u64)> {
        let pinned = self.pinned();
        pinned
            .iter()
            .map(|(number, k)| (*number, k.is.bytes))
            .collect()
    }

    /// Compares a segment's content, whatever its time of change; holds no lock meanwhile.
    pub(crate) fn read_again(
        &self,
        folder: &dyn Folder,
        number: u64,
        key: &Key,
    ) -> Result<(), Unavailable> {
        let known = self.pinned().get(&number).copied();
        let checked = known.map_or(Ok(()), |known| known.compare(folder, number, key));
        // A segment that was forgotten in the meantime may be gone.
        checked.or_else(|found| match self.pinned().contains_key(&number) {
            true => Err(found),
            false => Ok(()),
        })
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<u64, Link>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pinned(&self) -> MutexGuard<'_, BTreeMap<u64, PinnedSegment>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PinnedSegment {
    fn check(&mut self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        let now = look(folder, &segment::name(number), &self.is)?;
        if self.checked != Some(now.changed) {
            self.checked = None;
            self.compare(folder, number, key)?;
            self.checked = Some(now.changed);
        }
        Ok(())
    }

    fn compare(&self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        if let Some(last) = &self.last {
            holds(folder, number, last, key)?;
        }
        match self.zero_from {
            Some(from) => is_zero_behind(folder, number, from),
            None => Ok(()),
        }
    }
}

/// Checks that a segment holds only zeros from an offset on.
pub(super) fn is_zero_behind(
    folder: &dyn Folder,
    number: u64,
    from: u64,
) -> Result<(), Unavailable> {
    let segment = Segment::open(folder, number).map_err(|e| misread(&e))?;
    let other = segment
        .map(|segment| segment.not_zero_behind(from))
        .transpose();
    match other.map_err(|e| misread(&e))?.flatten() {
        None => Ok(()),
        Some(offset) => {
            let name = segment::name(number);
            let what = format!("{name}, offset {offset}: another program wrote there");
            Err(closed(Cause::Altered, what))
        }
    }
}

/// Checks that a segment's batches lead to `last`.
pub(super) fn holds(
    folder: &dyn Folder,
    number: u64,
    last: &Link,
    key: &Key,
) -> Result<(), Unavailable> {
    let name = segment::name(number);
    let altered = |offset: u64| {
        let what = format!("{name}, offset {offset}: it holds other bytes than the gateway wrote");
        closed(Cause::Altered, what)
    };
    let segment = Segment::open(folder, number).map_err(|e| misread(&e))?;
    let Some(segment) = segment else {
        return Err(closed(Cause::Unlinked, format!("{name} was unlinked")));
    };
    let (mut offset, mut before) = (0, None::<Link>);
    loop {
        let batch = match segment.batch_at(offset) {
            // The read worked, but the writer wrote other bytes here.
            Err(error) if error.fault == Fault::Newer => None,
            found => found.map_err(|e| misread(&e))?,
        };
        let Some((batch, bytes)) = batch.filter(|_| offset <= last.place.offset) else {
            return Err(altered(offset));
        };
        let follows = before.is_none_or(|b| batch.previous == b.digest && batch.from == b.place);
        if !follows || !tag_holds(&bytes, &batch, key) {
            return Err(altered(offset));
        }
        if batch.link == *last {
            return Ok(());
        }
        offset += batch.length as u64;
        before = Some(batch.link);
    }
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
        segments.keep_all(&*folder).unwrap();
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
        segments.keep_all(&*folder).unwrap();
        std::fs::remove_file(outer.path().join(segment::name(150))).unwrap();
        let checked = (0..4).map(|_| segments.check(&*folder, &test_key(), false));
        assert!(checked.collect::<Vec<_>>().iter().any(Result::is_err));
        assert!(segments.check(&*folder, &test_key(), true).is_err());
    }
}
