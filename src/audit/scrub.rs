//! Reads again, slowly, what nobody else reads: older segments of the journal, and every tile and
//! bundle under the checkpoint, made again from the entries and compared with what stands there.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Closed;
use super::custody::{Custody, Segments, is_grown};
use super::disk::Folder;
use super::key::Key;
use super::publish::{Standing, Tree};

/// So much is read in a second at most: a gigabyte takes about four minutes.
const BYTES_A_SECOND: u32 = 4 << 20;
/// Between two rounds, and before the first.
const PAUSE: Duration = Duration::from_secs(5);
/// A file that is not as it should be is looked at again so soon, and so often.
const AGAIN: Duration = Duration::from_millis(300);

/// The thread, and what it found.
#[derive(Debug)]
pub(super) struct Scrub {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    found: Mutex<Option<Closed>>,
    /// What was told last of what cannot be read.
    unread: Mutex<String>,
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Scrub {
    /// Begins to read what this custody holds.
    pub(super) fn begin(custody: &Custody, key: &Arc<Key>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let reader = Reader {
            standing: Standing::new(&custody.root, key),
            journal: Arc::clone(&custody.journal),
            segments: Arc::clone(&custody.segments),
            key: Arc::clone(key),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("audit-scrub".into());
        Ok(Self {
            shared,
            thread: Some(thread.spawn(move || reader.serve())?),
        })
    }

    /// What is wrong now, as far as it was read.
    pub(super) fn found(&self) -> Option<Closed> {
        let found = self.shared.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scrub {
    fn drop(&mut self) {
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left in disorder.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits; false where it is time to end.
    fn pause(&self, time: Duration) -> bool {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wake.wait_timeout_while(stop, time, |stop| !*stop);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn tell(&self, found: Option<Closed>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }
}

/// Why a round ended before its end.
enum End {
    Stopped,
    /// The disk would not say, or the log has grown meanwhile: the next round will see.
    Unread,
}

#[derive(Debug)]
struct Reader {
    standing: Standing,
    journal: Arc<dyn Folder>,
    segments: Arc<Segments>,
    key: Arc<Key>,
    shared: Arc<Shared>,
}

impl Reader {
    fn serve(&self) {
        while self.shared.pause(PAUSE) {
            let mut round = self.read_segments();
            if round.is_ok() {
                round = self.read_tiles();
            }
            if matches!(round, Err(End::Stopped)) {
                return;
            }
        }
    }

    fn read_segments(&self) -> Result<(), End> {
        for (number, bytes) in self.segments.held() {
            let judge = || self.segments.read_again(&*self.journal, number, &self.key);
            match self.until_right(judge) {
                // One that cannot be read does not keep the others from being read.
                Ok(()) | Err(End::Unread) => self.slow_down(bytes)?,
                Err(stopped) => return Err(stopped),
            }
        }
        Ok(())
    }

    /// Makes the tree again from the bundles: each file that it implies must hold just that.
    fn read_tiles(&self) -> Result<(), End> {
        let checkpoint = self.until_right(|| self.standing.checkpoint())?;
        let mut tree = Tree::default();
        for index in 0..Standing::bundles(&checkpoint) {
            let bytes;
            (tree, bytes) = self.until_right(|| self.standing.next(&tree, index, &checkpoint))?;
            self.slow_down(bytes)?;
        }
        if let Err(found) = Standing::whole(&tree, &checkpoint) {
            self.shared.tell(Some(found));
            return Err(End::Unread);
        }
        self.shared.tell(None);
        Ok(())
    }

    /// Judges until it is right; what is wrong twice in a row is told for as long as it is so.
    fn until_right<T>(&self, mut judge: impl FnMut() -> Result<T, Closed>) -> Result<T, End> {
        let mut wrong = 0;
        loop {
            match judge() {
                Ok(right) => {
                    if wrong > 1 {
                        self.shared.tell(None);
                    }
                    return Ok(right);
                }
                Err(found) if !found.cause.is_custody() => {
                    self.tell_unread(&found);
                    return Err(End::Unread);
                }
                Err(found) if wrong > 0 => self.shared.tell(Some(found)),
                Err(_) => {}
            }
            wrong += 1;
            if !self.shared.pause(AGAIN) {
                return Err(End::Stopped);
            }
        }
    }

    /// Says that something cannot be read; once, until another thing cannot.
    fn tell_unread(&self, found: &Closed) {
        let told = self.shared.unread.lock();
        let mut told = told.unwrap_or_else(PoisonError::into_inner);
        if !is_grown(found) && *told != found.detail {
            tracing::warn!(
                "a file of the log cannot be read, so nobody looks whether it, and what depends on it, is still right: {}; look at its mode and its disk",
                found.detail
            );
            told.clone_from(&found.detail);
        }
    }

    /// Lets so much time go by as this many bytes may take.
    fn slow_down(&self, bytes: u64) -> Result<(), End> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1) * bytes / BYTES_A_SECOND;
        match self.shared.pause(takes) {
            true => Ok(()),
            false => Err(End::Stopped),
        }
    }
}
