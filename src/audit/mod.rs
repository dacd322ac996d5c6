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
pub use trail::{Closed, Held, OpenIntent, State, Trail, Unconfirmed};

use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the trail is told by the config.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder.
    pub directory: PathBuf,
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    /// The signing key, made by `lychgate audit keygen`.
    pub key_file: PathBuf,
    /// A sync slower than this refuses deletions.
    pub sync_timeout: Duration,
    /// Bytes of one journal segment.
    pub segment_bytes: u64,
    /// How much space left on its disk is worth a warning.
    pub space: status::space::Levels,
    /// Where the newest checkpoint is kept apart from the folder.
    pub seen_file: PathBuf,
    /// An idle trail says so often that it is alive.
    pub heartbeat: Duration,
}

impl Settings {
    /// The seen file of a key where none is named: `KEY_FILE.seen`.
    #[must_use]
    pub fn seen_beside(key_file: &Path) -> PathBuf {
        let mut name = key_file.as_os_str().to_owned();
        name.push(".seen");
        name.into()
    }
}

/// Why the trail takes no deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No space for the next segment.
    DiskFull,
    /// A write, a sync or a read failed.
    SyncFailed,
    /// A sync took longer than `sync_timeout`.
    SyncLate,
    /// A file of the trail was unlinked.
    Unlinked,
    /// A file of the trail is another one now.
    Replaced,
    /// A file of the trail is shorter than it was.
    Truncated,
    /// A file of the trail holds other bytes than were written.
    Altered,
    /// The file system takes no writes.
    ReadOnly,
    /// The folder is another one now.
    FolderMoved,
    /// Somebody else writes into the trail.
    SecondWriter,
    /// Another process holds the lock.
    Locked,
    /// The trail is older than it was.
    RolledBack,
    /// Answered records are damaged.
    Damaged,
    /// The key cannot be read, or is not the folder's.
    KeyUnusable,
    /// The trail is being opened.
    Recovering,
}

impl Cause {
    /// Whether it is about what was found in the files, and not about what could not be written.
    pub(super) const fn is_custody(self) -> bool {
        matches!(
            self,
            Self::Unlinked
                | Self::Replaced
                | Self::Truncated
                | Self::Altered
                | Self::FolderMoved
                | Self::SecondWriter
        )
    }

    /// As it stands in refusals, logs, metrics and the trail.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DiskFull => "disk-full",
            Self::SyncFailed => "sync-failed",
            Self::SyncLate => "sync-late",
            Self::Unlinked => "unlinked",
            Self::Replaced => "replaced",
            Self::Truncated => "truncated",
            Self::Altered => "altered",
            Self::ReadOnly => "read-only",
            Self::FolderMoved => "folder-moved",
            Self::SecondWriter => "second-writer",
            Self::Locked => "locked",
            Self::RolledBack => "rolled-back",
            Self::Damaged => "damaged",
            Self::KeyUnusable => "key-unusable",
            Self::Recovering => "recovering",
        }
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

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
