//! The segments that are not written to any more: what they must hold, byte for byte.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::look;
use super::unread::misread;
use crate::audit::disk::{Access, Folder, Identity};
use crate::audit::journal::Fault;
use crate::audit::journal::batch::{Link, tag_holds};
use crate::audit::journal::segment::{self, Segment};
use crate::audit::log::key::Key;
use crate::audit::status::{Cause, Unavailable};
use crate::audit::status::{closed, trouble};

/// So many are judged after each sync; all of them in turn.
const AT_ONCE: usize = 64;

/// By number; the writer judges them, and whoever takes one away says so first.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    kept: Mutex<BTreeMap<u64, CheckpointFile>>,
    /// What recovery found; empty after it.
    ends: Mutex<BTreeMap<u64, Link>>,
    /// The number that was judged last.
    cursor: Mutex<u64>,
}

#[derive(Clone, Copy, Debug)]
struct CheckpointFile {
    is: Identity,
    /// Its time of change when it was judged last; none where it must be judged anew.
    judged: Option<i128>,
    /// Its last batch that counts; digests fix all that stands before it.
    last: Option<Link>,
    /// Where nothing stands from here on, as far as that is known.
    zero_from: Option<u64>,
}

impl Segments {
    /// Keeps a segment from now on.
    pub(crate) fn keep(
        &self,
        number: u64,
        is: Identity,
        last: Option<Link>,
        zero_from: Option<u64>,
    ) {
        let kept = CheckpointFile {
            judged: Some(is.changed),
            is,
            last,
            zero_from,
        };
        self.kept().insert(number, kept);
    }

    /// Recovery found a batch that counts: the last of its segment so far.
    pub(crate) fn ends_with(&self, link: &Link) {
        if link.place.segment != 0 {
            self.ends().insert(link.place.segment, *link);
        }
    }

    /// Keeps all that stand in the folder now, as recovery found them.
    pub(super) fn keep_all(&self, folder: &dyn Folder) -> std::io::Result<()> {
        for number in segment::numbers(folder)? {
            let last = self.ends().remove(&number);
            self.keep(number, folder.look(&segment::name(number))?, last, None);
        }
        Ok(())
    }

    /// Lets go of a segment that is about to be removed.
    pub(crate) fn forget(&self, number: u64) {
        self.kept().remove(&number);
    }

    /// Judges those whose turn it is, or all; contents are read where they may have changed.
    pub(super) fn check(
        &self,
        folder: &dyn Folder,
        key: &Key,
        all: bool,
    ) -> Result<(), Unavailable> {
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        for (number, mut segment) in self.turn(*cursor, all) {
            let judged = segment.check(folder, number, key);
            // One that was let go meanwhile may be gone.
            if self.judged(number, segment) {
                judged?;
            }
            *cursor = number;
        }
        Ok(())
    }

    /// Those whose turn it is behind this number, or all; nobody waits while they are judged.
    fn turn(&self, cursor: u64, all: bool) -> Vec<(u64, CheckpointFile)> {
        let kept = self.kept();
        let count = if all { kept.len() } else { AT_ONCE };
        let turn = kept.range(cursor + 1..).chain(kept.range(..=cursor));
        let turn = turn.map(|(number, segment)| (*number, *segment));
        turn.take(count).collect()
    }

    /// Keeps what was found of a segment; false where it was let go meanwhile.
    fn judged(&self, number: u64, found: CheckpointFile) -> bool {
        let mut kept = self.kept();
        let known = kept.get_mut(&number);
        known.map(|known| *known = found).is_some()
    }

    /// Those that are kept now, with their lengths.
    pub(crate) fn held(&self) -> Vec<(u64, u64)> {
        let kept = self.kept();
        kept.iter()
            .map(|(number, k)| (*number, k.is.bytes))
            .collect()
    }

    /// Reads one again, whatever its time of change says; nobody waits for it meanwhile.
    pub(crate) fn read_again(
        &self,
        folder: &dyn Folder,
        number: u64,
        key: &Key,
    ) -> Result<(), Unavailable> {
        let known = self.kept().get(&number).copied();
        let judged = known.map_or(Ok(()), |known| known.compare(folder, number, key));
        // One that was let go meanwhile may be gone.
        judged.or_else(|found| match self.kept().contains_key(&number) {
            true => Err(found),
            false => Ok(()),
        })
    }

    /// Judges all anew, their contents too; another file that holds the same is taken in the place
    /// of one.
    pub(super) fn judge_again(&self, folder: &dyn Folder, key: &Key) -> Result<(), Unavailable> {
        for (number, mut segment) in self.turn(0, true) {
            segment.judged = None;
            let judged = match segment.check(folder, number, key) {
                Err(found) if segment.last.is_none() && found.cause == Cause::Unlinked => {
                    self.forget(number);
                    continue;
                }
                Err(found) if found.cause == Cause::Replaced => {
                    segment.adopt(folder, number, key).map_err(|_| found)
                }
                judged => judged,
            };
            if self.judged(number, segment) {
                judged?;
            }
        }
        Ok(())
    }

    fn ends(&self) -> MutexGuard<'_, BTreeMap<u64, Link>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<u64, CheckpointFile>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckpointFile {
    fn check(&mut self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        let now = look(folder, &segment::name(number), &self.is)?;
        if self.judged != Some(now.changed) {
            self.judged = None;
            self.compare(folder, number, key)?;
            self.judged = Some(now.changed);
        }
        Ok(())
    }

    /// Takes a file of the same content for it, and makes it as durable.
    fn adopt(&mut self, folder: &dyn Folder, number: u64, key: &Key) -> Result<(), Unavailable> {
        self.compare(folder, number, key)?;
        let name = segment::name(number);
        let at = |e| {
            trouble(
                &e,
                &format!("cannot take {name} in place of what stood there"),
            )
        };
        let file = folder.open(&name, Access::Write).map_err(at)?;
        file.sync_all().map_err(at)?;
        folder.sync().map_err(at)?;
        self.is = file.identity().map_err(at)?;
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

/// Whether a segment holds nothing behind an offset.
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
            let what = format!("{name}, offset {offset}, was written to by somebody else");
            Err(closed(Cause::Altered, what))
        }
    }
}

/// Whether a segment holds, batch by batch, what leads to `last`.
pub(super) fn holds(
    folder: &dyn Folder,
    number: u64,
    last: &Link,
    key: &Key,
) -> Result<(), Unavailable> {
    let name = segment::name(number);
    let altered = |offset: u64| {
        let what = format!("{name}, offset {offset}, does not hold what was written to it");
        closed(Cause::Altered, what)
    };
    let segment = Segment::open(folder, number).map_err(|e| misread(&e))?;
    let Some(segment) = segment else {
        return Err(closed(Cause::Unlinked, format!("{name} was unlinked")));
    };
    let (mut offset, mut before) = (0, None::<Link>);
    loop {
        let batch = match segment.batch_at(offset) {
            // Bytes were read, and they are not ours.
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
    fn who_removes_a_segment_says_so_first() {
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
    fn all_are_judged_in_turn_however_many_there_are() {
        let outer = test_folder("segments-many");
        for number in 1..=200 {
            std::fs::write(outer.path().join(segment::name(number)), b"").unwrap();
        }
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let segments = Segments::default();
        segments.keep_all(&*folder).unwrap();
        std::fs::remove_file(outer.path().join(segment::name(150))).unwrap();
        let judged = (0..4).map(|_| segments.check(&*folder, &test_key(), false));
        assert!(judged.collect::<Vec<_>>().iter().any(Result::is_err));
        assert!(segments.check(&*folder, &test_key(), true).is_err());
    }
}
