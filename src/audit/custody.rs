//! Whether the trail's files are still ours: a sync succeeds on an unlinked file, too.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::{Disk, File, Folder, Identity};
use super::journal::append::Current;
use super::journal::{FOLDER, segment};
use super::{Cause, Closed};

/// The name of the lock file.
pub(super) const LOCK: &str = "lock";

/// What is held open, and what it was when it was opened.
#[derive(Debug)]
pub(super) struct Custody {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
    pub(super) root: Arc<dyn Folder>,
    pub(super) journal: Arc<dyn Folder>,
    pub(super) lock: Arc<dyn File>,
}

impl Custody {
    /// Judges everything that is cheap to judge; `highest` says the highest segment number we gave.
    pub(super) fn check(
        &self,
        current: Option<&Current>,
        highest: impl Fn() -> u64,
    ) -> Result<(), Closed> {
        let root = found(self.root.identity(), "the folder")?;
        match self.disk.look(&self.path) {
            Ok(now) if now.same_file(&root) => {}
            _ => {
                return Err(closed(
                    Cause::FolderMoved,
                    "another folder stands at the trail's path",
                ));
            }
        }
        let journal = found(self.journal.identity(), FOLDER)?;
        match self.root.look(FOLDER) {
            Ok(now) if now.same_file(&journal) => {}
            _ => {
                return Err(closed(
                    Cause::FolderMoved,
                    "the folder `journal` is another one",
                ));
            }
        }
        let lock = found(self.lock.identity(), LOCK)?;
        same(&self.root.look(LOCK), &lock, LOCK)?;
        let ours = highest();
        let beyond = segment::name(ours + 1);
        // Asked again: the spare's own thread may just have given this number.
        if self.journal.look(&beyond).is_ok() && highest() == ours {
            let what = format!("segment {beyond} is not ours");
            return Err(closed(Cause::SecondWriter, what));
        }
        current.map_or(Ok(()), |current| self.check_segment(current))
    }

    fn check_segment(&self, current: &Current) -> Result<(), Closed> {
        let name = current.name();
        same(&self.journal.look(&name), current.identity(), &name)?;
        let now = found(current.identity_now(), &name)?;
        if now.bytes < current.identity().bytes {
            let what = format!("{name} is shorter than it was");
            return Err(closed(Cause::Truncated, what));
        }
        if now.bytes > current.identity().bytes {
            return Err(closed(
                Cause::Altered,
                format!("{name} is longer than it was"),
            ));
        }
        match current.last_block_holds() {
            Ok(true) => Ok(()),
            Ok(false) => Err(closed(
                Cause::Altered,
                format!("{name} does not hold what was written to it"),
            )),
            Err(error) => Err(trouble(&error, &format!("cannot read {name}"))),
        }
    }
}

/// What an error of the disk means for deletions.
pub(super) fn trouble(error: &io::Error, doing: &str) -> Closed {
    let cause = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Cause::DiskFull,
        // Nothing but a segment is made under a name that must be free.
        io::ErrorKind::AlreadyExists => Cause::SecondWriter,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Cause::ReadOnly,
        _ => Cause::SyncFailed,
    };
    closed(cause, format!("{doing}: {error}"))
}

pub(super) fn closed(cause: Cause, detail: impl Into<String>) -> Closed {
    Closed {
        cause,
        detail: detail.into(),
    }
}

fn found(identity: io::Result<Identity>, what: &str) -> Result<Identity, Closed> {
    identity.map_err(|error| trouble(&error, &format!("cannot look at {what}")))
}

fn same(look: &io::Result<Identity>, known: &Identity, name: &str) -> Result<(), Closed> {
    match look {
        Ok(now) if now.same_file(known) => Ok(()),
        Ok(_) => Err(closed(
            Cause::Replaced,
            format!("{name} is another file now"),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(closed(Cause::Unlinked, format!("{name} was unlinked")))
        }
        Err(error) => Err(trouble(error, &format!("cannot look at {name}"))),
    }
}
