//! Why deletions are refused: the causes, and the cause that follows from an error of the disk.

use std::io;

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
    pub(crate) const fn is_custody(self) -> bool {
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

/// Why a deletion is not taken; nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The cause.
    pub cause: Cause,
    /// What was seen, for the operator and the caller; no secret.
    pub detail: String,
}

pub(crate) fn closed(cause: Cause, detail: impl Into<String>) -> Unavailable {
    Unavailable {
        cause,
        detail: detail.into(),
    }
}

/// What an error of the disk means for deletions.
pub(crate) fn trouble(error: &io::Error, doing: &str) -> Unavailable {
    let cause = match error.kind() {
        // Nothing but a segment is made under a name that must be free.
        io::ErrorKind::AlreadyExists => Cause::SecondWriter,
        kind => cause_of(kind),
    };
    closed(cause, format!("{doing}: {error}"))
}

/// The cause where the system failed: it says nothing of what stands in the files.
pub(crate) fn cause_of(kind: io::ErrorKind) -> Cause {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Cause::ReadOnly,
        _ => Cause::SyncFailed,
    }
}
