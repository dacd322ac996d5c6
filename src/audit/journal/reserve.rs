//! The reserve: a file that keeps space free. When the disk is full, the writer removes it to
//! record the outcomes of open intents and the fault itself.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::batch::MAX_BATCH;
use crate::audit::disk::names::{FILE_MODE, RESERVE};
use crate::audit::disk::{Access, File, Folder};

/// Space for a small segment with the longest batch, and for the names of both.
const RESERVE_BYTES: u64 = 2 * MAX_BATCH as u64;
const STEP: usize = 256 << 10;

const GONE: u8 = 0;
const MAKING: u8 = 1;
const THERE: u8 = 2;

#[derive(Debug)]
pub(crate) struct Reserve {
    folder: Arc<dyn Folder>,
    state: Arc<AtomicU8>,
}

impl Reserve {
    /// Finds the reserve of an earlier process; one that is not complete does not count.
    pub(crate) fn new(folder: Arc<dyn Folder>) -> Self {
        let found = folder.look(RESERVE);
        let whole = found.is_ok_and(|found| found.bytes == RESERVE_BYTES);
        let state = if whole { THERE } else { GONE };
        Self {
            folder,
            state: Arc::new(AtomicU8::new(state)),
        }
    }

    /// Starts to create a missing reserve in the background, if `beside` bytes then remain free.
    pub(crate) fn tend(&self, free_bytes: u64, beside: u64) {
        let room = free_bytes >= RESERVE_BYTES.saturating_add(beside);
        let (folder, state) = (Arc::clone(&self.folder), Arc::clone(&self.state));
        let begun = room && self.change(GONE, MAKING);
        if !begun {
            return;
        }
        let make = move || {
            let made = fill(&*folder);
            if made.is_err() {
                // Frees the space; the next call tries again.
                let _ = folder.remove(RESERVE);
            }
            state.store(if made.is_ok() { THERE } else { GONE }, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("audit-reserve".into());
        if thread.spawn(make).is_err() {
            self.state.store(GONE, Ordering::Release);
        }
    }

    /// Removes the reserve; false if there is none.
    pub(crate) fn give_back(&self) -> bool {
        self.change(THERE, GONE) && self.folder.remove(RESERVE).is_ok()
    }

    /// The bytes that the reserve holds; 0 if there is none.
    pub(crate) fn bytes(&self) -> u64 {
        let is_there = self.state.load(Ordering::Acquire) == THERE;
        if is_there { RESERVE_BYTES } else { 0 }
    }

    /// Notes if another program has removed the reserve.
    pub(crate) fn look(&self) {
        if self.folder.look(RESERVE).is_err() {
            self.change(THERE, GONE);
        }
    }

    fn change(&self, from: u8, to: u8) -> bool {
        let changed = self
            .state
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok()
    }
}

/// Fills the file with random bytes, which no file system can compress.
fn fill(folder: &dyn Folder) -> io::Result<()> {
    let file: Arc<dyn File> = folder.open(RESERVE, Access::Create(FILE_MODE))?;
    file.clear()?;
    let mut noise = vec![0; STEP];
    aws_lc_rs::rand::fill(&mut noise).map_err(|_| io::Error::other("no randomness"))?;
    for at in (0..RESERVE_BYTES).step_by(STEP) {
        file.write_at(&noise, at)?;
    }
    file.sync_all()?;
    folder.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::disk::{Disk, RealDisk};
    use crate::audit::test_folder;

    #[test]
    fn the_reserve_is_made_if_it_fits_and_removed_once() {
        let outer = test_folder("reserve");
        let folder = RealDisk.folder(outer.path(), None).unwrap();
        let reserve = Reserve::new(Arc::clone(&folder));
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
