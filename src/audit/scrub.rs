//! Reads again, slowly, what nobody else reads: older segments of the journal, and every tile and
//! bundle under the checkpoint, made again from the entries and compared with what stands there.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
        let Some(checkpoint) = self.checkpoint() else {
            return Err(End::Unread);
        };
        let (mut tree, size) = (Tree::default(), checkpoint.size);
        for index in 0..size.div_ceil(u64::from(FULL)) {
            let Some(bundle) = Bundle::at(index, size) else {
                return Err(End::Unread);
            };
            let bytes = self.bundle(bundle, &checkpoint)?;
            let mut full = Vec::new();
            for entry in decode_bundle(&bytes, bundle.width).map_err(|_| End::Unread)? {
                let keep = |piece| {
                    full.push(piece);
                    Ok(())
                };
                let pushed = tree.push(&entry, leaf(&entry), keep);
                pushed.map_err(|_| End::Unread)?;
            }
            self.compare(&full, &checkpoint)?;
        }
        self.compare(&tree.partial(), &checkpoint)?;
        let what = "the tree that the bundles make is not the one under the checkpoint";
        let judge = || match tree.root() == checkpoint.root {
            true => Ok(()),
            false => Err(closed(Cause::Altered, what)),
        };
        self.until_right(judge)
    }

    /// A bundle that can be read; its bytes are judged by the tiles above it.
    fn bundle(&self, bundle: Bundle, checkpoint: &Checkpoint) -> Result<Vec<u8>, End> {
        let path = bundle.path();
        let mut found = Vec::new();
        self.until_right(|| {
            found = self.read(&path)?.unwrap_or_default();
            if found.is_empty() && self.is_outgrown(checkpoint) {
                return Ok(());
            }
            decode_bundle(&found, bundle.width)
                .map(drop)
                .map_err(|error| damaged(&path, found.is_empty(), &error.to_string()))
        })?;
        self.slow_down(found.len() as u64)?;
        Ok(found)
    }

    fn compare(&self, pieces: &[Piece], checkpoint: &Checkpoint) -> Result<(), End> {
        for piece in pieces {
            self.until_right(|| match self.read(&piece.path)? {
                Some(found) if found == piece.bytes => Ok(()),
                None if self.is_outgrown(checkpoint) => Ok(()),
                found => Err(damaged(
                    &piece.path,
                    found.is_none(),
                    "it is not what the entries make",
                )),
            })?;
            self.slow_down(piece.bytes.len() as u64)?;
        }
        Ok(())
    }

    /// Judges until it is right; what is wrong twice in a row is told for as long as it is so.
    fn until_right(&self, mut judge: impl FnMut() -> Result<(), Closed>) -> Result<(), End> {
        let mut wrong = 0;
        loop {
            match judge() {
                Ok(()) => {
                    if wrong > 1 {
                        self.shared.tell(None);
                    }
                    return Ok(());
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

    /// Whether a newer checkpoint stands, whose partial tiles have other names.
    fn is_outgrown(&self, checkpoint: &Checkpoint) -> bool {
        self.checkpoint()
            .is_none_or(|newest| newest.size != checkpoint.size)
    }

    fn checkpoint(&self) -> Option<Checkpoint> {
        let bytes = read_whole(&*self.root, CHECKPOINT).ok()??;
        Checkpoint::open(&bytes, self.key.verifier()).ok()
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
        let begin = Instant::now();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let takes = Duration::from_secs(1) * bytes / BYTES_A_SECOND;
        match self.shared.pause(takes.saturating_sub(begin.elapsed())) {
            true => Ok(()),
            false => Err(End::Stopped),
        }
    }
}

fn damaged(path: &str, is_gone: bool, what: &str) -> Closed {
    match is_gone {
        true => closed(Cause::Unlinked, format!("{path} was unlinked")),
        false => closed(Cause::Altered, format!("{path}: {what}")),
    }
}
