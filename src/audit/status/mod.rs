//! The causes for which the gateway refuses deletions, and the remedy for each. `availability` says
//! which cause applies now.

pub(crate) mod availability;
pub(crate) mod space;

use std::io;

use super::disk::is_no_file_of_a_log;
pub use availability::State;

/// Why the trail accepts no deletions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The disk has no space left for the trail.
    DiskFull,
    /// A write, a sync or a read failed.
    SyncFailed,
    /// The disk is too slow: a sync took longer than `sync_timeout`, a checkpoint is late, or a
    /// queue is full.
    SyncLate,
    /// A file of the trail was unlinked.
    Unlinked,
    /// A file of the trail was replaced by another file.
    Replaced,
    /// A file of the trail is shorter than before.
    Truncated,
    /// A file of the trail holds other bytes than the gateway wrote.
    Altered,
    /// The file system accepts no writes.
    ReadOnly,
    /// Another folder is at the trail's path.
    FolderMoved,
    /// Another program writes into the trail.
    SecondWriter,
    /// Another process holds the lock on the trail's folder.
    Locked,
    /// Someone set the trail back to an older state.
    RolledBack,
    /// The journal or the published files are damaged or incomplete.
    Damaged,
    /// The signing key cannot be read, or does not belong to this folder.
    KeyUnusable,
    /// The gateway is opening the trail.
    Recovering,
}

impl Cause {
    /// Whether the cause is a fault in the integrity of the files, and not a failed write.
    pub(crate) const fn is_integrity(self) -> bool {
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

    /// Every cause.
    pub const ALL: [Self; 15] = [
        Self::DiskFull,
        Self::SyncFailed,
        Self::SyncLate,
        Self::Unlinked,
        Self::Replaced,
        Self::Truncated,
        Self::Altered,
        Self::ReadOnly,
        Self::FolderMoved,
        Self::SecondWriter,
        Self::Locked,
        Self::RolledBack,
        Self::Damaged,
        Self::KeyUnusable,
        Self::Recovering,
    ];

    /// What an operator can do. The text names the cause's section in `docs/operations.md`.
    #[must_use]
    pub fn remedy(self) -> String {
        let what = match self {
            Self::DiskFull => {
                "free space on the disk of the audit folder, but delete no file of the folder; deletions open again by themselves within 15 s"
            }
            Self::SyncFailed => {
                "move away a file that is in the place of the folder, or mount the disk that belongs there; else look for disk errors in the kernel's log (dmesg); deletions open again by themselves"
            }
            Self::SyncLate => {
                "find out why the disk is slow or hangs; deletions open again once it answers"
            }
            Self::Unlinked | Self::Replaced | Self::Truncated | Self::Altered => {
                "keep a copy of the folder, then put the old file back; deletions open again by themselves; if it is lost, stop the gateway and begin a log of another name (\"Starting over\")"
            }
            Self::ReadOnly => {
                "make the folder writable for the gateway's user (mount options, owner, mode); deletions open again by themselves within 15 s; if the file system became read-only after an error, stop the gateway, unmount, check and mount it, then start"
            }
            Self::FolderMoved => {
                "put the old folder or its `journal`, or a whole copy, back at its path; deletions open again by themselves; if it is lost, stop the gateway and begin a log of another name (\"Starting over\")"
            }
            Self::SecondWriter => {
                "find the other process (`fuser -v DIR/journal/*`) and stop it, then run `lychgate audit verify`"
            }
            Self::Locked => {
                "stop the other process, or give this gateway its own folder, origin and key; deletions open by themselves once the other process is gone"
            }
            Self::RolledBack => {
                "if the folder is new or empty, mount its disk, or stop the gateway and put the newest copy of the folder back; if `key_file` is not this folder's key, set the right one and restart; if the folder is lost, stop the gateway, run `lychgate audit keygen --origin NEW --out NEW.key` and `lychgate audit accept-loss --config FILE --reason TEXT --origin NEW --key-file NEW.key`, then set `origin` and `key_file` in [audit] to the new ones, and start the gateway"
            }
            Self::Damaged => {
                "keep a copy of the folder, run `lychgate audit verify`, and put a whole copy back; if there is none, stop the gateway and begin a log of another name (\"Starting over\")"
            }
            Self::KeyUnusable => {
                "if [audit] `origin` is the folder's, put the folder's key into the key file, and deletions open by themselves; else set `origin` and `key_file` to the folder's own, and restart; if the key is lost, stop the gateway and begin a log of another name (\"Starting over\")"
            }
            Self::Recovering => "wait; if it lasts, look at the disk",
        };
        format!("{what} (docs/operations.md, \"{}\")", self.as_str())
    }

    /// The cause's name in refusals, logs, metrics and the trail.
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

/// Why the gateway refuses a deletion. The gateway has sent no byte of that deletion to the origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// The cause.
    pub cause: Cause,
    /// Details for the operator, without secrets. A caller gets only the cause.
    pub detail: String,
}

pub(crate) fn closed(cause: Cause, detail: impl Into<String>) -> Unavailable {
    Unavailable {
        cause,
        detail: detail.into(),
    }
}

/// Converts a disk error into the reason why the gateway refuses deletions.
pub(crate) fn trouble(error: &io::Error, doing: &str) -> Unavailable {
    let cause = match error.kind() {
        // Only the rename of a new segment requires a free name: another process has taken that
        // name.
        io::ErrorKind::AlreadyExists => Cause::SecondWriter,
        kind => cause_of(kind),
    };
    closed(cause, format!("{doing}: {error}"))
}

/// Like [`trouble`], for a failed read of a file that this process has read or written before.
pub(crate) fn unread(error: &io::Error, doing: &str) -> Unavailable {
    closed(cause_of_reading(error.kind()), format!("{doing}: {error}"))
}

/// Like [`unread`], for a log that is being opened: this process does not know yet what the log's
/// files must hold.
pub(crate) fn unread_at_opening(error: &io::Error, doing: &str) -> Unavailable {
    closed(cause_at_opening(error.kind()), format!("{doing}: {error}"))
}

/// The cause if this process cannot read a file that it has read or written before.
pub(crate) fn cause_of_reading(kind: io::ErrorKind) -> Cause {
    match kind {
        io::ErrorKind::NotFound => Cause::Unlinked,
        io::ErrorKind::UnexpectedEof => Cause::Truncated,
        // `read_whole` refuses a file that is longer than any file of a log.
        io::ErrorKind::FileTooLarge => Cause::Altered,
        _ if is_no_file_of_a_log(kind) => Cause::Replaced,
        _ => cause_of(kind),
    }
}

/// The cause if a file of a log that is being opened cannot be read.
pub(crate) fn cause_at_opening(kind: io::ErrorKind) -> Cause {
    match is_no_file_of_a_log(kind) {
        true => Cause::Damaged,
        false => cause_of(kind),
    }
}

/// The cause for an error of the system. Such an error says nothing about the content of the files.
fn cause_of(kind: io::ErrorKind) -> Cause {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Cause::ReadOnly,
        _ => Cause::SyncFailed,
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn p3_a_system_error_is_no_fault_of_the_file() {
        let cause = |errno: Errno| unread(&errno.into(), "read").cause;
        let system = [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::INTR,
            Errno::IO,
            Errno::STALE,
            Errno::AGAIN,
            Errno::TIMEDOUT,
        ];
        for errno in system {
            assert_eq!(cause(errno), Cause::SyncFailed, "{errno:?}");
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::ROFS] {
            assert_eq!(cause(errno), Cause::ReadOnly, "{errno:?}");
        }
        for errno in [Errno::NOSPC, Errno::DQUOT] {
            assert_eq!(cause(errno), Cause::DiskFull, "{errno:?}");
        }
        for errno in [Errno::LOOP, Errno::ISDIR, Errno::NOTDIR] {
            assert_eq!(cause(errno), Cause::Replaced, "{errno:?}");
        }
        assert_eq!(cause(Errno::NOENT), Cause::Unlinked);
        let short = unread(&io::ErrorKind::UnexpectedEof.into(), "read");
        assert_eq!(short.cause, Cause::Truncated);
    }
}
