//! Makes segments: written full of zeros and synced before they get their name and are used.

use crate::audit::disk::names::FILE_MODE;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::segment;
use crate::audit::disk::names::{NEXT, SPARE as UNNAMED};
use crate::audit::disk::{Access, File, Folder, Identity};

const STEP: usize = 256 << 10;

/// A segment full of zeros, ready to be used.
#[derive(Debug)]
pub struct Prepared {
    /// Its number.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// It, open for writing.
    pub file: Arc<dyn File>,
    /// What it was when it was ready.
    pub identity: Identity,
}

/// Gives numbers and segments; makes one spare at a time in a thread of its own.
#[derive(Debug)]
pub struct Spares {
    folder: Arc<dyn Folder>,
    bytes: u64,
    /// The highest number ever given in this folder.
    given: Arc<AtomicU64>,
    making: Option<Receiver<io::Result<Prepared>>>,
    ready: Option<Prepared>,
    /// Whether [`UNNAMED`] stands there, zeros and synced.
    adopted: bool,
}

impl Spares {
    /// Goes on behind the highest number in the folder; spares are `bytes` long.
    #[must_use]
    pub fn new(folder: Arc<dyn Folder>, highest: u64, bytes: u64) -> Self {
        Self {
            folder,
            bytes,
            given: Arc::new(AtomicU64::new(highest)),
            making: None,
            ready: None,
            adopted: false,
        }
    }

    /// Takes an unused segment of an earlier process as the next spare: it is known to hold zeros
    /// alone. Where it cannot be, it stays where it is.
    pub fn adopt(&mut self, number: u64) {
        let name = segment::name(number);
        let fits = self.folder.look(&name).is_ok_and(|i| i.bytes == self.bytes);
        self.adopted = fits && self.folder.rename(&name, UNNAMED).is_ok();
    }

    /// The spare, where it is ready.
    #[must_use]
    pub fn ready(&self) -> Option<&Prepared> {
        self.ready.as_ref()
    }

    /// The spare was found whole as it is now.
    pub fn judged(&mut self, now: Identity) {
        if let Some(spare) = &mut self.ready {
            spare.identity = now;
        }
    }

    /// Takes the file that stands under the spare's name now, which holds what it held.
    ///
    /// # Errors
    /// Where the system says so, or it cannot be made as durable.
    pub fn take_other(&mut self) -> io::Result<()> {
        let Some(spare) = &mut self.ready else {
            return Ok(());
        };
        let file = self
            .folder
            .open(&segment::name(spare.number), Access::Write)?;
        file.sync_all()?;
        self.folder.sync()?;
        spare.identity = file.identity()?;
        spare.file = file;
        Ok(())
    }

    /// Lets go of the spare where it is gone; another is made in its place. Says whether it could be.
    pub fn let_go(&mut self) -> bool {
        let gone = self.ready.as_ref().is_some_and(|spare| {
            let found = self.folder.look(&segment::name(spare.number));
            found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        });
        if gone {
            self.ready = None;
        }
        gone
    }

    /// Bytes of a spare.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether one is being made.
    #[cfg(test)]
    pub(crate) fn is_making(&self) -> bool {
        self.making.is_some()
    }

    /// The highest number given so far.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.given.load(Ordering::Acquire)
    }

    /// Begins to make a spare, if there is none and none is being made.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.ready.is_some() || self.making.is_some() {
            return Ok(());
        }
        let (sender, receiver) = sync_channel(1);
        let (folder, bytes) = (Arc::clone(&self.folder), self.bytes);
        let (given, adopted) = (Arc::clone(&self.given), std::mem::take(&mut self.adopted));
        let make = move || {
            // A receiver that is gone has stopped.
            let _ = sender.send(make(&*folder, UNNAMED, &given, bytes, adopted));
        };
        std::thread::Builder::new()
            .name("audit-spare".into())
            .spawn(make)?;
        self.making = Some(receiver);
        Ok(())
    }

    /// Whether the spare is ready; an error is told once, then [`Self::begin`] may try again.
    ///
    /// # Errors
    /// Where it could not be made.
    pub fn poll(&mut self) -> io::Result<bool> {
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

    /// A segment of at least so many bytes: the spare, waited for where it is being made, or a new
    /// one of at least `small` bytes.
    ///
    /// # Errors
    /// Where none can be made.
    pub fn take(&mut self, at_least: u64, small: u64) -> io::Result<Prepared> {
        if let Some(making) = self.making.take() {
            self.ready = making.recv().ok().transpose()?;
        }
        match self.ready.take() {
            Some(spare) if spare.bytes >= at_least => Ok(spare),
            too_short => {
                // Numbers only go up, so a spare that is passed over can never be used.
                if let Some(spare) = too_short {
                    self.folder.remove(&segment::name(spare.number))?;
                }
                self.make_now(at_least.max(small))
            }
        }
    }

    /// Makes a segment of at least so many bytes, in this thread.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn make_now(&mut self, at_least: u64) -> io::Result<Prepared> {
        let bytes = at_least.next_multiple_of(super::batch::BLOCK as u64);
        make(&*self.folder, NEXT, &self.given, bytes, false)
    }
}

/// The lock is given back after this: no number may be given behind it.
impl Drop for Spares {
    fn drop(&mut self) {
        if let Some(making) = self.making.take() {
            // Whether it was made or not, its thread gives no number any more.
            let _ = making.recv();
        }
    }
}

/// Makes a segment under a passing name, then gives it its own: what has a number is whole.
fn make(
    folder: &dyn Folder,
    passing: &str,
    given: &AtomicU64,
    bytes: u64,
    there: bool,
) -> io::Result<Prepared> {
    let adopted = there.then(|| adopted(folder, passing, bytes)).flatten();
    let is_filled = adopted.is_some();
    let file = adopted.map_or_else(|| folder.open(passing, Access::Create(FILE_MODE)), Ok)?;
    let filled = if is_filled {
        Ok(())
    } else {
        fill(&*file, bytes)
    };
    if let Err(error) = filled {
        // Gives the space back; what matters is the error that is told.
        let _ = folder.remove(passing);
        return Err(error);
    }
    // Given before it can be seen, so that custody never takes it for somebody else's.
    let number = given.fetch_add(1, Ordering::AcqRel) + 1;
    if let Err(error) = folder.rename_new(passing, &segment::name(number)) {
        if error.kind() == io::ErrorKind::AlreadyExists {
            // Somebody else's records: never written over, and not a number of ours.
            given.fetch_sub(1, Ordering::AcqRel);
            let _ = folder.remove(passing);
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

/// The adopted spare, where it still stands there whole.
fn adopted(folder: &dyn Folder, passing: &str, bytes: u64) -> Option<Arc<dyn File>> {
    let file = folder.open(passing, Access::Write).ok()?;
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
    fn a_spare_that_is_too_short_is_removed_and_its_number_not_used_again() {
        let outer = test_folder("spare-short");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let mut spares = Spares::new(Arc::clone(&folder), 0, 4_096);
        spares.begin().unwrap();
        assert_eq!(spares.take(8_192, 0).unwrap().number, 2);
        assert_eq!(segment::numbers(&*folder).unwrap(), [2]);
    }

    #[test]
    fn p4_a_segment_of_another_writer_is_not_written_over_and_stays_beyond_our_numbers() {
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
    fn an_unused_segment_gets_the_next_number() {
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
    fn an_unused_segment_that_went_away_or_was_cut_meanwhile_is_made_anew() {
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
