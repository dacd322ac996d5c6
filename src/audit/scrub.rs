//! Reads again, slowly, what nobody else reads: older segments of the journal, and every tile and
//! bundle under the checkpoint, made again from the entries and compared with what stands there.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::checkpoint::Checkpoint;
use super::custody::{Custody, Segments, closed};
use super::disk::Folder;
use super::key::Key;
use super::merkle::leaf;
use super::publish::{CHECKPOINT, Piece, Tree, read_whole};
use super::tiles::{Bundle, FULL, decode_bundle};
use super::{Cause, Closed};

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
    stop: Mutex<bool>,
    wake: Condvar,
}

impl Scrub {
    /// Begins to read what this custody holds.
    pub(super) fn begin(custody: &Custody, key: &Arc<Key>) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let reader = Reader {
            root: Arc::clone(&custody.root),
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
    root: Arc<dyn Folder>,
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
            self.until_right(judge)?;
            self.slow_down(bytes)?;
        }
        Ok(())
    }

    /// Makes the tree again from the bundles: each file that it implies must hold just that.
    fn read_tiles(&self) -> Result<(), End> {
        let checkpoint = self.until_right(|| self.checkpoint())?;
        let mut tree = Tree::default();
        for index in 0..checkpoint.size.div_ceil(u64::from(FULL)) {
            let bytes;
            (tree, bytes) = self.until_right(|| self.next(&tree, index, &checkpoint))?;
            self.slow_down(bytes)?;
        }
        if tree.root() != checkpoint.root {
            let what = "the tree that the bundles make is not the one under the checkpoint";
            self.shared.tell(Some(closed(Cause::Altered, what)));
            return Err(End::Unread);
        }
        self.shared.tell(None);
        Ok(())
    }

    /// The tree with this bundle's entries, where all files that they imply are right, and how much
    /// was read.
    fn next(
        &self,
        before: &Tree,
        index: u64,
        checkpoint: &Checkpoint,
    ) -> Result<(Tree, u64), Closed> {
        let (mut tree, mut pieces) = (before.clone(), Vec::new());
        let bundle = Bundle::at(index, checkpoint.size).ok_or_else(unread)?;
        let path = bundle.path();
        let bytes = self.there(&path, checkpoint)?;
        let entries = decode_bundle(&bytes, bundle.width);
        for entry in entries.map_err(|e| altered(&path, &e.to_string()))? {
            let keep = |piece| {
                pieces.push(piece);
                Ok(())
            };
            let pushed = tree.push(entry, leaf(entry), keep);
            pushed.map_err(|e| altered(&path, &e.to_string()))?;
        }
        if tree.size() == checkpoint.size {
            pieces.extend(tree.partial());
        }
        let mut read = bytes.len() as u64;
        for Piece { path, bytes } in pieces {
            if self.there(&path, checkpoint)? != bytes {
                return Err(altered(&path, "it is not what the entries make"));
            }
            read += bytes.len() as u64;
        }
        Ok((tree, read))
    }

    /// A file that must be there, unless the log has grown meanwhile.
    fn there(&self, path: &str, checkpoint: &Checkpoint) -> Result<Vec<u8>, Closed> {
        if let Some(found) = self.read(path)? {
            return Ok(found);
        }
        // Partial files of a newer checkpoint have other names.
        match self.checkpoint()?.size == checkpoint.size {
            true => Err(closed(Cause::Unlinked, format!("{path} was unlinked"))),
            false => Err(unread()),
        }
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
                Err(found) if !found.cause.is_custody() => return Err(End::Unread),
                Err(found) if wrong > 0 => self.shared.tell(Some(found)),
                Err(_) => {}
            }
            wrong += 1;
            if !self.shared.pause(AGAIN) {
                return Err(End::Stopped);
            }
        }
    }

    fn checkpoint(&self) -> Result<Checkpoint, Closed> {
        let Some(bytes) = self.read(CHECKPOINT)? else {
            let what = format!("{CHECKPOINT} was unlinked");
            return Err(closed(Cause::Unlinked, what));
        };
        Checkpoint::open(&bytes, self.key.verifier())
            .map_err(|e| altered(CHECKPOINT, &e.to_string()))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Closed> {
        let unread = |e: io::Error| closed(Cause::SyncFailed, e.to_string());
        let mut folder = Arc::clone(&self.root);
        let mut parts = path.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return read_whole(&*folder, part).map_err(unread);
            }
            folder = match folder.folder(part, None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                found => found.map_err(unread)?,
            };
        }
        Ok(None)
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

fn altered(path: &str, what: &str) -> Closed {
    closed(Cause::Altered, format!("{path}: {what}"))
}

/// Nothing is wrong, but it could not be judged.
fn unread() -> Closed {
    closed(Cause::SyncFailed, "the log has grown meanwhile")
}
