//! Checks that no other program has replaced, removed or altered the trail's files. A sync does not find
//! such a change: for example, it also succeeds on an unlinked file.
//!
//! The gateway pins its files: it remembers the identity and the expected content of each file. After
//! each sync, and before any caller gets an answer, the writer runs the cheap checks: each name leads to
//! the pinned file, each length is right, each time of change is known, and no segment of another writer
//! exists. If a file has a new time of change, the writer compares the file's content with the expected
//! content. After a fault, the writer opens the log again.

mod pinned;
pub(crate) mod published_log;
pub(crate) mod scrub;

use std::cmp::Ordering;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::names::{JOURNAL, LOCK};
use super::disk::{Disk, Folder, Identity, if_exists, is_no_file_of_a_log};
use super::journal::append::Current;
use super::journal::batch::Link;
use super::journal::segment;
use super::journal::spare::Spares;
use super::log::key::Key;
use super::status::{Cause, Unavailable, closed, trouble, unread};
pub(crate) use pinned::{Ends, PinnedFile, Segments};
use pinned::{LastChange, PinnedSegment, compare};

/// The maximum number of copies in [`Integrity::failed_copies`].
const MOST_UNSYNCED: usize = 16;

/// The open folders and files of the trail, with their known identities.
#[derive(Debug)]
pub(crate) struct Integrity {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    pub(crate) root: Arc<dyn Folder>,
    pub(crate) journal: Arc<dyn Folder>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) key: Arc<Key>,
    root_is: Identity,
    journal_is: Identity,
    pub(crate) lock: PinnedFile,
    verifier: PinnedFile,
    /// The last known change of the names in the journal folder.
    names: LastChange,
    /// The copies of the log that could not be synced: for each copy, the identity and the creation time
    /// of its journal folder.
    pub(crate) failed_copies: Vec<(Identity, Option<i128>)>,
}

impl Integrity {
    /// Pins the folders. The caller pins the lock and the verifier before this call, and the segments
    /// after it.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        path: PathBuf,
        root: Arc<dyn Folder>,
        journal: Arc<dyn Folder>,
        lock: PinnedFile,
        verifier: PinnedFile,
        key: Arc<Key>,
    ) -> Result<Self, Unavailable> {
        Ok(Self {
            root_is: found(root.identity(), "the folder")?,
            journal_is: found(journal.identity(), JOURNAL)?,
            disk,
            path,
            root,
            journal,
            segments: Arc::default(),
            key,
            lock,
            verifier,
            names: LastChange::default(),
            failed_copies: Vec::new(),
        })
    }

    /// Runs the cheap checks that the description of this module lists.
    pub(crate) fn check(
        &mut self,
        current: Option<&mut Current>,
        spares: &Spares,
    ) -> Result<(), Unavailable> {
        let names_changed = self.check_folders(spares)?;
        let lock = self.lock.check(&*self.root);
        lock.map_err(|found| match found.cause {
            Cause::Altered | Cause::Truncated if self.lock.is_of_another() => {
                closed(Cause::SecondWriter, "another process took `lock`")
            }
            _ => found,
        })?;
        self.verifier.check(&*self.root)?;
        let all = names_changed || current.is_none();
        self.segments.check(&*self.journal, &self.key, all)?;
        let Some(current) = current else {
            return Ok(());
        };
        let name = current.name();
        let now = look(&*self.journal, &name, &current.identity)?;
        writable(&now, &current.identity, &name)?;
        let holds = current.last_block_holds();
        if !holds.map_err(|error| unread(&error, &format!("cannot read {name}")))? {
            let what = format!("{name} holds other bytes than the gateway wrote");
            return Err(closed(Cause::Altered, what));
        }
        current.note_change();
        Ok(())
    }

    /// Checks that no other program has written to the segment in use. The writer calls this before each
    /// write.
    pub(crate) fn untouched(&self, current: &mut Current, last: &Link) -> Result<(), Unavailable> {
        let name = current.name();
        let now = found(current.file.identity(), &name)?;
        if now.changed == current.identity.changed {
            return Ok(());
        }
        look(&*self.journal, &name, &current.identity)?;
        let (number, offset) = (current.number, current.offset);
        let last = Some(last).filter(|last| last.place.segment == number);
        compare(&*self.journal, number, &self.key, last, Some(offset))?;
        // A second hard link is no fault, because a backup program may create one.
        if current.file.names().is_ok_and(|names| names > 1) {
            tracing::warn!(
                "segment {name} of the trail has a second name (a hard link), through which it can be altered: make backups by copying"
            );
        }
        current.note_change();
        Ok(())
    }

    /// Pins the segment `current`, which the writer no longer uses. `last` is the last valid batch of the
    /// log.
    pub(crate) fn keep(&self, current: &Current, last: &Link) {
        let mut pinned = PinnedSegment {
            is: current.identity,
            last: Some(*last).filter(|last| last.place.segment == current.number),
            zero_from: Some(current.offset),
        };
        if current.has_failed {
            pinned.is.changed = i128::MIN;
            pinned.zero_from = None;
        }
        self.segments.keep(current.number, pinned);
    }

    /// Checks that the spare segment, if there is one, still exists and holds only zeros.
    pub(crate) fn check_spare(&self, spares: &mut Spares) -> Result<(), Unavailable> {
        let Some(spare) = &mut spares.ready else {
            return Ok(());
        };
        let name = segment::name(spare.number);
        let now = look(&*self.journal, &name, &spare.identity)?;
        writable(&now, &spare.identity, &name)?;
        if now.changed != spare.identity.changed {
            compare(&*self.journal, spare.number, &self.key, None, Some(0))?;
            spare.identity = now;
        }
        Ok(())
    }

    /// Writes this process's line to `lock` again if another writer has overwritten the line but has made
    /// no segment. If the other writer still runs, it does the same, and the next check finds the change.
    pub(crate) fn claim_lock(&mut self, spares: &Spares) -> Result<(), Unavailable> {
        if self.lock.is_of_another() {
            self.check_names(spares)?;
            found(self.lock.write_again(), LOCK)?;
        }
        Ok(())
    }

    /// The fault if the trail's path no longer leads to the folders that this process holds open.
    pub(crate) fn moved(&self) -> Option<Unavailable> {
        let found = self.held_folders().err()?;
        (found.cause == Cause::FolderMoved).then_some(found)
    }

    /// Makes `copy` durable: the log that is now at the trail's path. This log or one of its files may be
    /// a copy that was never synced. Refuses a log whose earlier sync failed: after a failed sync, the
    /// kernel may count unwritten pages as written, so a later sync may succeed without writing them.
    pub(crate) fn sync_copy(&mut self, copy: &Self) -> Result<(), Unavailable> {
        // A new folder may reuse the inode number of a removed folder, so the creation times must match
        // too.
        let made = copy.journal.made();
        let mut failed = self.failed_copies.iter();
        if failed.any(|(is, when)| is.same_file(&copy.journal_is) && *when == made) {
            let what = "an earlier sync of this copy failed, so it cannot be trusted: put another copy there";
            return Err(closed(Cause::SyncFailed, what));
        }
        let synced = copy.journal.sync_disk();
        let synced = synced.and_then(|()| copy.root.sync_disk());
        synced.map_err(|error| {
            self.failed_copies.truncate(MOST_UNSYNCED - 1);
            self.failed_copies.insert(0, (copy.journal_is, made));
            trouble(&error, "cannot sync it")
        })
    }

    /// The present identities of the trail's folder and of the journal folder; an error if a path leads
    /// to another folder.
    fn held_folders(&self) -> Result<(Identity, Identity), Unavailable> {
        let held = |now: io::Result<Identity>, known: &Identity, name| match now {
            Ok(now) if now.same_file(known) => Ok(now),
            Err(error) if !is_no_folder(&error) => {
                Err(unread(&error, &format!("cannot look at {name}")))
            }
            now => {
                let place = now.map_or("no folder", |_| "another folder or file");
                let what = format!("{place} is in the place of {name}");
                Err(closed(Cause::FolderMoved, what))
            }
        };
        let (root, journal) = (self.disk.look(&self.path), self.root.look(JOURNAL));
        let root = held(root, &self.root_is, "the trail's folder")?;
        let journal = held(journal, &self.journal_is, "`journal`")?;
        Ok((root, journal))
    }

    /// Checks the folders. Returns whether names in the journal may have changed.
    fn check_folders(&mut self, spares: &Spares) -> Result<bool, Unavailable> {
        let (root, journal) = self.held_folders()?;
        writable(&root, &self.root_is, "the trail's folder")?;
        writable(&journal, &self.journal_is, "the folder `journal`")?;
        if self.names.is_checked(journal.changed) {
            return Ok(false);
        }
        self.check_names(spares)
            .inspect_err(|_| self.names = LastChange::default())?;
        Ok(true)
    }

    fn check_names(&self, spares: &Spares) -> Result<(), Unavailable> {
        let numbers = found(segment::numbers(&*self.journal), JOURNAL)?;
        // Reads our highest number only after the listing. Otherwise a spare that our own thread adds
        // between the two would count as another writer's segment.
        let ours = spares.highest();
        match numbers.last().filter(|last| **last > ours) {
            None => Ok(()),
            Some(last) => {
                let what = format!("segment {} is not ours", segment::name(*last));
                Err(closed(Cause::SecondWriter, what))
            }
        }
    }
}

fn found<T>(what: io::Result<T>, name: &str) -> Result<T, Unavailable> {
    what.map_err(|error| trouble(&error, &format!("cannot look at {name}")))
}

/// Whether the error shows that no folder has this name.
fn is_no_folder(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::NotFound || is_no_file_of_a_log(kind)
}

fn writable(now: &Identity, was: &Identity, name: &str) -> Result<(), Unavailable> {
    if was.writable && !now.writable {
        let what = format!("{name} was made read-only");
        return Err(closed(Cause::ReadOnly, what));
    }
    Ok(())
}

/// The present identity of a file; a fault if the name is missing, leads to another file, or the length
/// has changed.
fn look(folder: &dyn Folder, name: &str, known: &Identity) -> Result<Identity, Unavailable> {
    let fault = |cause, what| Err(closed(cause, format!("{name} {what}")));
    let Some(now) = found(if_exists(folder.look(name)), name)? else {
        return fault(Cause::Unlinked, "was unlinked");
    };
    if !now.same_file(known) {
        return fault(Cause::Replaced, "is another file now");
    }
    match now.bytes.cmp(&known.bytes) {
        Ordering::Equal => Ok(now),
        Ordering::Less => fault(Cause::Truncated, "is shorter than it was"),
        Ordering::Greater => fault(Cause::Altered, "is longer than it was"),
    }
}
