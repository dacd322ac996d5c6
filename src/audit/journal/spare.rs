//! Makes segments: fills them with zeros and syncs them before they get their name.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::segment;
use crate::audit::disk::names::{FILE_MODE, NEXT, SPARE as UNNAMED};
use crate::audit::disk::{Access, File, Folder, Identity};

const STEP: usize = 256 << 10;

/// A segment full of zeros, ready for use.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its number.
    pub(crate) number: u64,
    /// Its length.
    pub(crate) bytes: u64,
    /// Its file, open for writing.
    pub(crate) file: Arc<dyn File>,
    /// Its identity when it was ready.
    pub(crate) identity: Identity,
}

/// Assigns segment numbers; makes one spare at a time on a thread of its own.
#[derive(Debug)]
pub(crate) struct Spares {
    folder: Arc<dyn Folder>,
    bytes: u64,
    /// The highest number assigned in this folder.
    assigned: Arc<AtomicU64>,
    making: Option<Receiver<io::Result<Prepared>>>,
    ready: Option<Prepared>,
    /// Whether [`UNNAMED`] is an adopted segment, full of zeros and synced.
    adopted: bool,
}

impl Spares {
    /// Continues after the highest number in the folder; spares are `bytes` long.
    pub(crate) fn new(folder: Arc<dyn Folder>, highest: u64, bytes: u64) -> Self {
        Self {
            folder,
            bytes,
            assigned: Arc::new(AtomicU64::new(highest)),
            making: None,
            ready: None,
            adopted: false,
        }
    }

    /// Reuses an earlier process's segment, which holds only zeros, as the next spare. If that
    /// fails, the segment keeps its name.
    pub(crate) fn adopt(&mut self, number: u64) {
        let name = segment::name(number);
        let fits = self.folder.look(&name).is_ok_and(|i| i.bytes == self.bytes);
        self.adopted = fits && self.folder.rename(&name, UNNAMED).is_ok();
    }

    /// The same numbers, without a spare.
    pub(crate) fn without_spare(&self) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            bytes: self.bytes,
            assigned: Arc::clone(&self.assigned),
            making: None,
            ready: None,
            adopted: false,
        }
    }

    /// Gives the ready spare up. Its file stays, and its number is not used again.
    pub(crate) fn forget_ready(&mut self) {
        self.ready = None;
    }

    /// The spare; `None` until it is ready.
    pub(crate) fn ready(&self) -> Option<&Prepared> {
        self.ready.as_ref()
    }

    /// Stores the spare's identity after a check found it intact.
    pub(crate) fn set_identity(&mut self, now: Identity) {
        if let Some(spare) = &mut self.ready {
            spare.identity = now;
        }
    }

    /// The length of a spare.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the thread is making a spare.
    #[cfg(test)]
    pub(crate) fn is_making(&self) -> bool {
        self.making.is_some()
    }

    /// The highest number assigned so far.
    pub(crate) fn highest(&self) -> u64 {
        self.assigned.load(Ordering::Acquire)
    }

    /// Starts to make a spare, unless one exists or is being made.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        if self.ready.is_some() || self.making.is_some() {
            return Ok(());
        }
        let (sender, receiver) = sync_channel(1);
        let (folder, bytes) = (Arc::clone(&self.folder), self.bytes);
        let (assigned, adopted) = (
            Arc::clone(&self.assigned),
            std::mem::take(&mut self.adopted),
        );
        let make = move || {
            // The receiver is gone only if `Spares` was dropped.
            let _ = sender.send(make(&*folder, UNNAMED, &assigned, bytes, adopted));
        };
        std::thread::Builder::new()
            .name("audit-spare".into())
            .spawn(make)?;
        self.making = Some(receiver);
        Ok(())
    }

    /// Whether the spare is ready. Returns an error once; [`Self::begin`] may then try again.
    pub(crate) fn poll(&mut self) -> io::Result<bool> {
        if let Some(making) = &self.making {
            match making.try_recv() {
                Ok(made) => {
                    self.making = None;
                    self.ready = Some(made?);
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => {
                    self.making = None;
                    return Err(io::Error::other("the thread that makes segments is gone"));
                }
            }
        }
        Ok(self.ready.is_some())
    }

    /// A segment of at least `at_least` bytes: the spare, after waiting for its thread, or a new
    /// segment of at least `small` bytes.
    pub(crate) fn take(&mut self, at_least: u64, small: u64) -> io::Result<Prepared> {
        if let Some(making) = self.making.take() {
            self.ready = making.recv().ok().transpose()?;
        }
        if std::mem::take(&mut self.adopted) {
            self.ready = Some(make(
                &*self.folder,
                UNNAMED,
                &self.assigned,
                self.bytes,
                true,
            )?);
        }
        match self.ready.take() {
            Some(spare) if spare.bytes >= at_least => Ok(spare),
            too_short => {
                // Numbers only grow, so a skipped spare can never be used.
                if let Some(spare) = too_short {
                    self.folder.remove(&segment::name(spare.number))?;
                }
                self.make_now(at_least.max(small))
            }
        }
    }

    /// Makes a segment of at least `at_least` bytes on this thread.
    pub(crate) fn make_now(&mut self, at_least: u64) -> io::Result<Prepared> {
        let bytes = at_least.next_multiple_of(super::batch::BLOCK as u64);
        make(&*self.folder, NEXT, &self.assigned, bytes, false)
    }
}

/// The writer releases the lock after this drop, so the thread must not assign a number later.
impl Drop for Spares {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            // Either result means that the thread assigns no more numbers.
            let _ = making.recv();
        }
    }
}

/// Makes a segment under a temporary name, then renames it, so that a numbered segment is always
/// whole.
fn make(
    folder: &dyn Folder,
    temporary: &str,
    assigned: &AtomicU64,
    bytes: u64,
    there: bool,
) -> io::Result<Prepared> {
    let adopted = there.then(|| adopted(folder, temporary, bytes)).flatten();
    let is_filled = adopted.is_some();
    let file = adopted.map_or_else(|| folder.open(temporary, Access::Create(FILE_MODE)), Ok)?;
    let filled = if is_filled {
        Ok(())
    } else {
        fill(&*file, bytes)
    };
    if let Err(error) = filled {
        // Frees the space; the first error is the one to report.
        let _ = folder.remove(temporary);
        return Err(error);
    }
    // The number counts before the file is visible, so that the integrity check knows it as ours.
    let number = assigned.fetch_add(1, Ordering::AcqRel) + 1;
    if let Err(error) = folder.rename_new(temporary, &segment::name(number)) {
        if error.kind() == io::ErrorKind::AlreadyExists {
            // Another writer's segment: never overwrite it, and do not count its number as ours.
            assigned.fetch_sub(1, Ordering::AcqRel);
            let _ = folder.remove(temporary);
        }
        return Err(error);
    }
    folder.sync()?;
    Ok(Prepared {
        number,
        bytes,
        identity: file.identity()?,
        file,
    })
}

/// The adopted spare; `None` if it is missing or has another length.
fn adopted(folder: &dyn Folder, temporary: &str, bytes: u64) -> Option<Arc<dyn File>> {
    let file = folder.open(temporary, Access::Write).ok()?;
    let whole = file.identity().is_ok_and(|found| found.bytes == bytes);
    whole.then_some(file)
}

fn fill(file: &dyn File, bytes: u64) -> io::Result<()> {
    file.clear()?;
    let zeros = vec![0; STEP];
    let mut at = 0;
    while at < bytes {
        let part = STEP.min(usize::try_from(bytes - at).unwrap_or(STEP));
        file.write_at(&zeros[..part], at)?;
        at += part as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::test_folder;

    #[test]
    fn numbers_go_up_and_segments_are_zero() {
        let outer = test_folder("spare");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 41, 65_536);
        spares.begin().unwrap();
        let spare = spares.take(65_536, 0).unwrap();
        assert_eq!((spare.number, spare.bytes), (42, 65_536));
        let small = spares.take(1, 5_000).unwrap();
        assert_eq!((small.number, small.bytes), (43, 8_192));
        assert_eq!(spares.highest(), 43);
        let bytes = std::fs::read(outer.path().join("0000000042")).unwrap();
        assert_eq!(bytes, vec![0; 65_536]);
        assert_eq!(segment::numbers(&*folder).unwrap(), [42, 43]);
    }

    #[test]
    fn p4_a_spare_that_is_handed_over_and_dropped_keeps_its_number() {
        let outer = test_folder("spare-shared");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 4, 65_536);
        spares.begin().unwrap();
        let mut others = spares.without_spare();
        // The drop waits for the thread, which assigns the number.
        drop(spares);
        assert_eq!(others.highest(), 5);
        assert_eq!(others.take(1, 0).unwrap().number, 6);
    }

    #[test]
    fn a_short_spare_is_removed_and_its_number_never_reused() {
        let outer = test_folder("spare-short");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 0, 4_096);
        spares.begin().unwrap();
        assert_eq!(spares.take(8_192, 0).unwrap().number, 2);
        assert_eq!(segment::numbers(&*folder).unwrap(), [2]);
    }

    #[test]
    fn p4_another_writers_segment_is_never_overwritten() {
        let outer = test_folder("spare-foreign");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 6, 8_192);
        std::fs::write(outer.path().join("0000000007"), b"records").unwrap();
        for _ in 0..2 {
            let error = spares.make_now(1).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(spares.highest(), 6);
        }
        let found = std::fs::read(outer.path().join("0000000007")).unwrap();
        assert_eq!(found, b"records");
    }

    #[test]
    fn an_adopted_segment_gets_the_next_number() {
        let outer = test_folder("spare-adopt");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        std::fs::write(outer.path().join("0000000007"), vec![0; 8_192]).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 7, 8_192);
        spares.adopt(7);
        spares.begin().unwrap();
        assert_eq!(spares.take(1, 0).unwrap().number, 8);
        assert_eq!(segment::numbers(&*folder).unwrap(), [8]);
    }

    #[test]
    fn an_adopted_segment_that_is_missing_or_cut_is_replaced() {
        for cut in [None, Some(4_096)] {
            let outer = test_folder("spare-gone");
            let folder = RealDisk.folder(outer.path(), None).unwrap();
            std::fs::write(outer.path().join("0000000007"), vec![0; 8_192]).unwrap();
            let mut spares = Spares::new(Arc::clone(&folder), 7, 8_192);
            spares.adopt(7);
            let unnamed = outer.path().join(UNNAMED);
            std::fs::remove_file(&unnamed).unwrap();
            if let Some(bytes) = cut {
                std::fs::write(&unnamed, vec![0; bytes]).unwrap();
            }
            spares.begin().unwrap();
            assert_eq!(spares.take(1, 0).unwrap().number, 8);
            let bytes = std::fs::read(outer.path().join("0000000008")).unwrap();
            assert_eq!(bytes, vec![0; 8_192]);
        }
    }
}
