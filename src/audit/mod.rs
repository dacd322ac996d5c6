//! The audit trail: what makes a deletion provable. It knows nothing of HTTP.
//!
//! The rooms, from the door down. A room uses only rooms below it:
//!
//! 1. [`trail`] is the door for the rest of the crate: hand in an entry, learn when it is durable;
//! 2. [`writer`] is one thread: the queue, the rounds that write it, recovery, accepted losses;
//! 3. `publish` is a second thread: tiles and signed checkpoints of what is synced;
//! 4. `integrity` judges whether the files are still ours, and reads older parts again slowly;
//! 5. [`read`] is for those who read the log: query, verify, prove;
//! 6. [`journal`] holds the entries in batches, each with one write and one sync;
//! 7. [`status`] says why deletions are refused, and since when;
//! 8. [`entry`] is what an entry says, and its bounds;
//! 9. [`log`] holds the C2SP formats as pure functions;
//! 10. [`disk`] is the only door to the file system.

#[cfg(test)]
mod by_hand;
pub mod disk;
pub mod entry;
mod integrity;
pub mod journal;
pub mod log;
mod publish;
pub mod read;
pub mod status;
pub mod trail;
pub mod writer;

pub use log::receipt::Receipt;
pub use publish::unwatched;
pub use status::{Cause, State, Unavailable};
pub use trail::{OpenIntent, Trail, Unconfirmed};
pub use writer::{Held, Settings};

#[cfg(test)]
pub(crate) use test_support::{TestFolder, test_folder};

#[cfg(test)]
mod test_support {
    //! A folder of a test's own, removed when dropped.

    use std::path::{Path, PathBuf};

    /// The folder.
    #[derive(Debug)]
    pub(crate) struct TestFolder(PathBuf);

    impl TestFolder {
        /// Where it is.
        pub(crate) fn path(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for TestFolder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Makes one.
    pub(crate) fn test_folder(name: &str) -> TestFolder {
        let unique = format!("lychgate-{name}-{}", uuid::Uuid::now_v7());
        let path = test_root().join(unique);
        std::fs::create_dir(&path).unwrap();
        TestFolder(path)
    }

    /// Where tests make their folders: in memory if the system has such a place, so that no trail of a
    /// test waits for a busy disk.
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
