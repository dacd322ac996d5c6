//! Disk space that is allocated in advance: the spare segment, and the reserve. A thread fills the spare
//! with zeros and syncs it before the spare gets its number. The reserve is a file that the writer
//! removes when the disk is full.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use super::batch::{BLOCK, MAX_BATCH};
use super::segment;
use crate::audit::disk::names::{FILE_MODE, NEXT, RESERVE, SPARE as UNNAMED};
use crate::audit::disk::{Access, File, Folder, Identity};

/// The number of bytes in one write.
const STEP: usize = 256 << 10;
/// The length of the reserve in bytes. This is room for a segment with the longest batch, and for what
/// the file system itself needs to store the segment.
const RESERVE_BYTES: u64 = 2 * MAX_BATCH as u64;

/// A segment full of zeros, ready for use.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn File>,
    /// The file's identity when the segment was ready. `bytes` is the length that was written.
    pub(crate) identity: Identity,
}

/// Assigns the numbers of segments, and makes one spare segment at a time on a separate thread.
#[derive(Debug)]
pub(crate) struct Spares {
    folder: Arc<dyn Folder>,
    /// The length of each spare in bytes.
    pub(crate) bytes: u64,
    /// The highest number assigned in this folder.
    assigned: Arc<AtomicU64>,
    making: Option<JoinHandle<io::Result<Prepared>>>,
    /// The spare; `None` until the thread has made a spare.
    pub(crate) ready: Option<Prepared>,
    /// Whether the file [`UNNAMED`] is a segment that [`Self::adopt`] renamed. Such a segment is already
    /// synced and holds only zeros.
    adopted: bool,
}

impl Spares {
    /// Assigns the numbers after `highest`, the highest number in the folder. Each spare is `bytes` long.
    pub(crate) fn new(folder: Arc<dyn Folder>, highest: u64, bytes: u64) -> Self {
        Self::without_spare(folder, Arc::new(AtomicU64::new(highest)), bytes)
    }

    fn without_spare(folder: Arc<dyn Folder>, assigned: Arc<AtomicU64>, bytes: u64) -> Self {
        Self {
            folder,
            bytes,
            assigned,
            making: None,
            ready: None,
            adopted: false,
        }
    }

    /// Moves the spare, and the thread that makes a spare, into the returned value. Both values assign
    /// numbers from the same counter.
    pub(crate) fn hand_over(&mut self) -> Self {
        let (folder, assigned) = (Arc::clone(&self.folder), Arc::clone(&self.assigned));
        std::mem::replace(self, Self::without_spare(folder, assigned, self.bytes))
    }

    /// Reuses a segment of an earlier process as the next spare. The segment must hold only zeros. If its
    /// length differs from a spare's, or if the rename fails, leaves the segment as it is.
    pub(crate) fn adopt(&mut self, number: u64) {
        let name = segment::name(number);
        let fits = self.folder.look(&name).is_ok_and(|i| i.bytes == self.bytes);
        self.adopted = fits && self.folder.rename(&name, UNNAMED).is_ok();
    }

    #[cfg(test)]
    pub(crate) fn is_making(&self) -> bool {
        self.making.is_some()
    }

    /// The highest number assigned so far.
    pub(crate) fn highest(&self) -> u64 {
        self.assigned.load(Ordering::Acquire)
    }

    /// Starts to make a spare, unless a spare exists or the thread is already making one.
    pub(crate) fn begin(&mut self) -> io::Result<()> {
        if self.ready.is_some() || self.making.is_some() {
            return Ok(());
        }
        let (folder, bytes) = (Arc::clone(&self.folder), self.bytes);
        let assigned = Arc::clone(&self.assigned);
        let adopted = std::mem::take(&mut self.adopted);
        let make = move || make(&*folder, UNNAMED, &assigned, bytes, adopted);
        self.making = Some(Builder::new().name("audit-spare".into()).spawn(make)?);
        Ok(())
    }

    /// Whether the spare is ready. If the thread has failed, returns its error, and [`Self::begin`] can then
    /// start another thread.
    pub(crate) fn poll(&mut self) -> io::Result<bool> {
        if let Some(made) = self.making.take_if(|making| making.is_finished()) {
            let gone = |_| io::Error::other("the thread that makes segments is gone");
            self.ready = Some(made.join().map_err(gone)??);
        }
        Ok(self.ready.is_some())
    }

    /// Returns a segment of at least `at_least` bytes. If a thread is making a spare, waits for the
    /// thread. Uses the spare if it is long enough. Otherwise makes a new segment of at least `small`
    /// bytes.
    pub(crate) fn take(&mut self, at_least: u64, small: u64) -> io::Result<Prepared> {
        if self.adopted {
            self.begin()?;
        }
        if let Some(making) = self.making.take() {
            self.ready = making.join().ok().transpose()?;
        }
        match self.ready.take() {
            Some(spare) if spare.identity.bytes >= at_least => Ok(spare),
            too_short => {
                // Segments are used in the order of their numbers, so a spare that is skipped now can
                // never be used.
                if let Some(spare) = too_short {
                    self.folder.remove(&segment::name(spare.number))?;
                }
                self.make_now(at_least.max(small))
            }
        }
    }

    /// Makes a segment of at least `at_least` bytes on the calling thread.
    pub(crate) fn make_now(&mut self, at_least: u64) -> io::Result<Prepared> {
        let bytes = at_least.next_multiple_of(BLOCK as u64);
        make(&*self.folder, NEXT, &self.assigned, bytes, false)
    }
}

/// Waits for the thread that makes a spare. The writer releases the trail's lock only after this drop,
/// because the thread must not assign a number when another process can hold the lock.
impl Drop for Spares {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            // Ignores a panic: a thread that has panicked assigns no number.
            let _ = making.join();
        }
    }
}

/// Makes a segment under a temporary name and then renames it, so that a numbered segment is always
/// complete. If `is_adopted` and the file has this length, does not fill it again.
fn make(
    folder: &dyn Folder,
    temporary: &str,
    assigned: &AtomicU64,
    bytes: u64,
    is_adopted: bool,
) -> io::Result<Prepared> {
    let adopted = is_adopted.then(|| folder.open(temporary, Access::Write));
    let whole = |file: &Arc<dyn File>| file.identity().is_ok_and(|found| found.bytes == bytes);
    let file = match adopted.and_then(Result::ok).filter(whole) {
        Some(file) => file,
        None => {
            let file = folder.open(temporary, Access::Create(FILE_MODE))?;
            if let Err(error) = fill(&*file, &[0; STEP], bytes) {
                // Frees the space. The caller gets the first error, so an error of the removal is
                // ignored.
                let _ = folder.remove(temporary);
                return Err(error);
            }
            file
        }
    };
    // Assigns the number before the file has its name, so that the integrity check never takes the file
    // for another writer's.
    let number = assigned.fetch_add(1, Ordering::AcqRel) + 1;
    if let Err(error) = folder.rename_new(temporary, &segment::name(number)) {
        if error.kind() == io::ErrorKind::AlreadyExists {
            // The name belongs to a segment of another writer: never overwrite that segment, and do not
            // count its number as ours.
            assigned.fetch_sub(1, Ordering::AcqRel);
            let _ = folder.remove(temporary);
        }
        return Err(error);
    }
    folder.sync()?;
    let identity = Identity {
        bytes,
        ..file.identity()?
    };
    Ok(Prepared {
        number,
        file,
        identity,
    })
}

/// Fills the file up to this length with repetitions of `content`, and syncs the file.
fn fill(file: &dyn File, content: &[u8], bytes: u64) -> io::Result<()> {
    file.clear()?;
    for at in (0..bytes).step_by(content.len()) {
        let left = usize::try_from(bytes - at).unwrap_or(usize::MAX);
        file.write_at(&content[..left.min(content.len())], at)?;
    }
    file.sync_all()
}

const GONE: u8 = 0;
const MAKING: u8 = 1;
const THERE: u8 = 2;

/// A file that reserves disk space. When the disk is full, the writer removes the file, and so has room
/// to record the outcomes of open intents and the fault itself.
#[derive(Debug)]
pub(crate) struct Reserve {
    folder: Arc<dyn Folder>,
    /// The state of the file: [`GONE`], [`MAKING`] or [`THERE`].
    state: Arc<AtomicU8>,
    making: Option<JoinHandle<()>>,
}

impl Reserve {
    /// Uses the reserve of an earlier process if that file is complete.
    pub(crate) fn new(folder: Arc<dyn Folder>) -> Self {
        let found = folder.look(RESERVE);
        let whole = found.is_ok_and(|found| found.bytes == RESERVE_BYTES);
        let state = if whole { THERE } else { GONE };
        Self {
            folder,
            state: Arc::new(AtomicU8::new(state)),
            making: None,
        }
    }

    /// Starts to create a missing reserve in the background. Does nothing if fewer than `beside` bytes would
    /// then remain free.
    pub(crate) fn tend(&mut self, free_bytes: u64, beside: u64) {
        let fits = free_bytes >= RESERVE_BYTES.saturating_add(beside);
        if !fits || !self.change(GONE, MAKING) {
            return;
        }
        let (folder, state) = (Arc::clone(&self.folder), Arc::clone(&self.state));
        let make = move || {
            let made = make_reserve(&*folder);
            if made.is_err() {
                // Frees the space. The next call of `tend` tries again.
                let _ = folder.remove(RESERVE);
            }
            state.store(if made.is_ok() { THERE } else { GONE }, Ordering::Release);
        };
        let thread = Builder::new().name("audit-reserve".into()).spawn(make);
        if thread.is_err() {
            self.state.store(GONE, Ordering::Release);
        }
        self.making = thread.ok();
    }

    /// Removes the reserve. Returns `false` if there is no reserve, or if the removal fails.
    pub(crate) fn give_back(&self) -> bool {
        self.change(THERE, GONE) && self.folder.remove(RESERVE).is_ok()
    }

    /// The number of bytes that the reserve occupies; 0 if there is no reserve.
    pub(crate) fn bytes(&self) -> u64 {
        let is_there = self.state.load(Ordering::Acquire) == THERE;
        if is_there { RESERVE_BYTES } else { 0 }
    }

    /// Checks that the reserve still exists. If it does not, notes that it is gone.
    pub(crate) fn look(&self) {
        if self.folder.look(RESERVE).is_err() {
            self.change(THERE, GONE);
        }
    }

    fn change(&self, from: u8, to: u8) -> bool {
        self.state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// The writer releases the lock after this drop, so the thread must not write later.
impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            // A thread that has panicked writes nothing either.
            let _ = making.join();
        }
    }
}

/// Creates the reserve and fills it with random bytes, because a file system could compress other
/// content.
fn make_reserve(folder: &dyn Folder) -> io::Result<()> {
    let file = folder.open(RESERVE, Access::Create(FILE_MODE))?;
    let mut noise = vec![0; STEP];
    aws_lc_rs::rand::fill(&mut noise).map_err(|_| io::Error::other("no randomness"))?;
    fill(&*file, &noise, RESERVE_BYTES)?;
    folder.sync()
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
        assert_eq!((spare.number, spare.identity.bytes), (42, 65_536));
        let small = spares.take(1, 5_000).unwrap();
        assert_eq!((small.number, small.identity.bytes), (43, 8_192));
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
        let handed_over = spares.hand_over();
        // The drop waits for the thread, which assigns the number.
        drop(handed_over);
        assert_eq!(spares.highest(), 5);
        assert_eq!(spares.take(1, 0).unwrap().number, 6);
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

    #[test]
    fn the_reserve_is_made_if_it_fits_and_removed_once() {
        let outer = test_folder("reserve");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut reserve = Reserve::new(Arc::clone(&folder));
        reserve.tend(RESERVE_BYTES + 9, 10);
        assert!(!reserve.give_back());
        reserve.tend(RESERVE_BYTES + 10, 10);
        while reserve.bytes() == 0 {
            std::thread::yield_now();
        }
        let path = outer.path().join(RESERVE);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), RESERVE_BYTES);
        // The next process uses the same file.
        assert_eq!(Reserve::new(Arc::clone(&folder)).bytes(), RESERVE_BYTES);
        assert!(reserve.give_back());
        assert!(!path.exists());
        assert!(!reserve.give_back());
    }

    #[test]
    fn p3_a_dropped_reserve_leaves_no_thread_that_writes() {
        let outer = test_folder("reserve-dropped");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut reserve = Reserve::new(Arc::clone(&folder));
        reserve.tend(u64::MAX, 0);
        drop(reserve);
        // The next process finds it whole.
        assert_eq!(Reserve::new(folder).bytes(), RESERVE_BYTES);
    }

    #[test]
    fn a_reserve_that_was_removed_is_noticed() {
        let outer = test_folder("reserve-gone");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        std::fs::write(outer.path().join(RESERVE), vec![1; RESERVE_BYTES as usize]).unwrap();
        let reserve = Reserve::new(folder);
        reserve.look();
        assert_eq!(reserve.bytes(), RESERVE_BYTES);
        std::fs::remove_file(outer.path().join(RESERVE)).unwrap();
        reserve.look();
        assert_eq!(reserve.bytes(), 0);
    }
}
