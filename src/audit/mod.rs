//! The audit trail: the record that makes a deletion provable. This module knows nothing about
//! HTTP.
//!
//! Each module uses only modules below it:
//!
//! 1. [`trail`] is the interface for the rest of the crate: the caller hands in an entry, and
//!    learns when the entry is durable;
//! 2. [`writer`] is one thread, which queues entries, writes them in batches, and recovers the log;
//!    it also abandons a log whose loss an operator accepts;
//! 3. `publish` is a second thread: it makes tiles and signed checkpoints from the synced entries;
//! 4. `integrity` checks that nobody replaced or changed the files. In the background, it also
//!    reads older files again, at a limited rate;
//! 5. [`read`] reads the log: query, verify, prove;
//! 6. [`journal`] stores the entries in batches, each with one write and one sync;
//! 7. [`status`] says why Lychgate refuses deletions, and since when;
//! 8. [`entry`] defines the entries and their size limits;
//! 9. [`log`] holds the C2SP formats as pure functions;
//! 10. [`disk`] is the interface through which the gateway reads and writes the trail's files.

#[cfg(test)]
mod by_hand;
pub(crate) mod disk;
pub mod entry;
mod integrity;
pub(crate) mod journal;
pub mod log;
mod publish;
pub mod read;
pub(crate) mod status;
mod trail;
pub(crate) mod writer;

pub use log::receipt::Receipt;
pub(crate) use publish::unwatched;
pub use status::{Cause, State, Unavailable};
pub use trail::{OpenIntent, Trail, Unconfirmed};
pub(crate) use writer::accept_loss::lock_holder;
pub(crate) use writer::preflight::{nearest, preflight};
pub use writer::{Held, Settings};

#[cfg(test)]
pub(crate) use test_support::{TestFolder, run_all, test_folder};

#[cfg(test)]
mod test_support {
    //! A test's own folder, removed when dropped.

    use std::path::{Path, PathBuf};

    use tokio::task::JoinSet;

    /// Each check takes up to 15 MB.
    const MOST_AT_ONCE: usize = 32;

    #[derive(Debug)]
    pub(crate) struct TestFolder(PathBuf);

    impl TestFolder {
        /// The folder's path.
        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Creates a folder with a unique name.
    pub(crate) fn test_folder(name: &str) -> TestFolder {
        let unique = format!("lychgate-{name}-{}", uuid::Uuid::now_v7());
        let path = test_root().join(unique);
        std::fs::create_dir(&path).unwrap();
        TestFolder(path)
    }

    /// Runs all checks, a bounded number at once: each holds a disk in memory.
    pub(crate) async fn run_all<C>(checks: impl IntoIterator<Item = C>)
    where
        C: Future<Output = ()> + Send + 'static,
    {
        let mut running = JoinSet::new();
        for check in checks {
            if running.len() >= MOST_AT_ONCE {
                running.join_next().await.unwrap().unwrap();
            }
            running.spawn(check);
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }

    /// The parent of all test folders: in memory if the system offers enough, so that no test waits
    /// for a busy disk.
    pub(crate) fn test_root() -> PathBuf {
        let memory = Path::new("/dev/shm");
        let is_writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
        let room = rustix::fs::statvfs(memory).map_or(0, |about| about.f_bavail * about.f_frsize);
        match is_writable && room > 1 << 30 {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        }
    }
}
