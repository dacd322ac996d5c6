//! The audit trail: what makes a deletion provable. It knows nothing of HTTP.

pub mod entry;

use std::path::PathBuf;
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
}

/// Why the trail takes no deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No space for the next segment.
    DiskFull,
    /// A write or sync failed.
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
