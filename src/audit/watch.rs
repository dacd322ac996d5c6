//! Watches what is published: a file below `tile/` that somebody touches is judged at once, and not
//! when its turn to be read again comes.
//!
//! The kernel's word that a name was touched is a hint and no more: what counts is what stands there.
//! The publisher's own files are known by their inodes as long as nothing but their move is seen.

mod doubts;
mod folders;
mod judge;
mod watcher;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

use super::Closed;
use super::disk::{Folder, descriptor};
use super::integrity::{Placed, Published};
use super::log::key::Key;
use folders::Folders;
use watcher::{Found, Watcher};

/// So many folders are watched at most: those of a log of 500 million entries.
const MOST_FOLDERS: usize = 4_096;

/// The thread, and what it found.
#[derive(Debug)]
pub(crate) struct Watch {
    found: Arc<Found>,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to watch what is published; where that cannot be, it is said once, and what is touched
    /// is found when it is read again.
    pub(crate) fn begin(
        root: &Arc<dyn Folder>,
        key: &Arc<Key>,
        placed: &Arc<Placed>,
    ) -> Option<Self> {
        descriptor(&**root)?;
        let begun = Self::spawn(root, key, placed).inspect_err(|error| {
            tracing::warn!(
                %error,
                "the log's folders are not watched, so what is changed in them is found when it is read again: {}",
                folders::mend(error)
            );
        });
        begun.ok()
    }

    fn spawn(root: &Arc<dyn Folder>, key: &Arc<Key>, placed: &Arc<Placed>) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let stop = Arc::new(eventfd(0, flags)?);
        let found = Arc::<Found>::default();
        let mut folders = Folders::new(MOST_FOLDERS)?;
        folders.watch_root(&**root)?;
        let published = (Published::new(root, key), Arc::clone(placed));
        let watcher = Watcher::new(published, folders, &stop, &found);
        let thread = std::thread::Builder::new().name("audit-watch".into());
        Ok(Self {
            found,
            stop,
            thread: Some(thread.spawn(move || watcher.serve())?),
        })
    }

    /// What is wrong now, as far as it was judged.
    pub(crate) fn found(&self) -> Option<Closed> {
        let found = self.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A counter that is full is readable, too.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left in disorder.
            let _ = thread.join();
        }
    }
}
