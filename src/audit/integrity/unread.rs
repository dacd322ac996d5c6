//! The cause that follows from a read error: a fault of the file if the error shows one, else a
//! failure of the system.

use std::io;

use crate::audit::disk::is_no_file_of_a_log;
use crate::audit::journal::{Fault, ReadError};
use crate::audit::status::{Cause, Unavailable, cause_of, closed};

/// Why a known file cannot be read.
pub(crate) fn unread(error: &io::Error, doing: &str) -> Unavailable {
    let cause = match error.kind() {
        // Only `read_whole` returns this: it has read the length, and no file of a log is as long.
        io::ErrorKind::FileTooLarge => Cause::Altered,
        kind => cause_of_reading(kind),
    };
    closed(cause, format!("{doing}: {error}"))
}

/// Like [`unread`], but when a log is opened and no file is known yet.
pub(crate) fn unread_at_opening(error: &io::Error, doing: &str) -> Unavailable {
    closed(cause_at_opening(error.kind()), format!("{doing}: {error}"))
}

/// The cause when a log is opened: a file of the wrong kind is damage.
pub(crate) fn cause_at_opening(kind: io::ErrorKind) -> Cause {
    match is_no_file_of_a_log(kind) {
        true => Cause::Damaged,
        false => cause_of(kind),
    }
}

/// Why the journal cannot be read to its known end.
pub(super) fn misread(error: &ReadError) -> Unavailable {
    let cause = match error.fault {
        Fault::Io(kind) => cause_of_reading(kind),
        Fault::Missing => Cause::Unlinked,
        Fault::Damaged | Fault::Foreign | Fault::Newer => Cause::Altered,
    };
    closed(cause, error.to_string())
}

/// Whether the name of a known folder leads to no folder: to nothing, or to something else.
pub(super) fn is_no_folder(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(kind, io::ErrorKind::NotFound) || is_no_file_of_a_log(kind)
}

fn cause_of_reading(kind: io::ErrorKind) -> Cause {
    match kind {
        io::ErrorKind::NotFound => Cause::Unlinked,
        io::ErrorKind::UnexpectedEof => Cause::Truncated,
        _ if is_no_file_of_a_log(kind) => Cause::Replaced,
        _ => cause_of(kind),
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
