//! Checks that the trail's files are still the gateway's own. A sync alone does not show this: it
//! also succeeds on an unlinked file.
//!
//! After each sync, and before any caller gets an answer, the writer runs the cheap checks: each
//! name leads to the open file, each length is right, each time of change is known, and no segment
//! of another writer exists. If a time of change is new, it compares the content. After a fault the
//! writer opens the log again.

pub(crate) mod scrub;

mod copy;
mod pinned_file;
mod published;
pub(crate) mod published_log;
mod segments;
mod unread;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::names::{JOURNAL, LOCK};
use super::disk::{Disk, File, Folder, Identity};
use super::journal::append::Current;
use super::journal::batch::Link;
use super::journal::segment;
use super::journal::spare::{Prepared, Spares};
use super::log::key::Key;
use super::status::{Cause, Unavailable, closed, trouble};
use pinned_file::LastChange;
pub(crate) use pinned_file::PinnedFile;
pub(crate) use published::{Published, altered, unlinked};
pub(crate) use segments::Segments;
use unread::is_no_folder;
pub(crate) use unread::{cause_at_opening, unread, unread_at_opening};

/// The open files, and their identities.
#[derive(Debug)]
pub(crate) struct Integrity {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) root: Arc<dyn Folder>,
    pub(crate) journal: Arc<dyn Folder>,
    pub(crate) segments: Arc<Segments>,
    key: Arc<Key>,
    root_is: Identity,
    journal_is: Identity,
    lock: PinnedFile,
    verifier: PinnedFile,
    /// The last change of the names in the journal.
    names: LastChange,
    /// The segment in use, and its time of change after our last write.
    current: Option<(u64, i128)>,
    /// Journals of copies that could not be synced, and the creation time of each.
    pending: Vec<(Identity, Option<i128>)>,
}

/// The arguments of [`Integrity::new`].
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) root: Arc<dyn Folder>,
    pub(crate) journal: Arc<dyn Folder>,
    pub(crate) lock: PinnedFile,
    pub(crate) verifier: PinnedFile,
    pub(crate) key: Arc<Key>,
}

impl Integrity {
    /// Pins the folders, the lock and the verifier; the segments follow.
    pub(crate) fn new(opened: Opened) -> Result<Self, Unavailable> {
        Ok(Self {
            root_is: found(opened.root.identity(), "the folder")?,
            journal_is: found(opened.journal.identity(), JOURNAL)?,
            disk: opened.disk,
            path: opened.path,
            root: opened.root,
            journal: opened.journal,
            segments: Arc::default(),
            key: opened.key,
            lock: opened.lock,
            verifier: opened.verifier,
            names: LastChange::new(i128::MIN),
            current: None,
            pending: Vec::new(),
        })
    }

    /// Pins every segment in the folder but the spare, with the last batch that recovery found.
    pub(crate) fn keep_all(&self, spare: Option<&Prepared>) -> Result<(), Unavailable> {
        found(self.segments.keep_all(&*self.journal), JOURNAL)?;
        if let Some(spare) = spare {
            self.segments.forget(spare.number);
        }
        Ok(())
    }

    /// Runs the cheap checks; `highest` returns the highest segment number that we assigned.
    pub(crate) fn check(
        &mut self,
        current: Option<&Current>,
        highest: impl Fn() -> u64,
    ) -> Result<(), Unavailable> {
        let names_changed = self.check_folders(highest)?;
        self.lock
            .check(&*self.root)
            .map_err(|found| self.lock_fault(found))?;
        self.verifier.check(&*self.root)?;
        let all = names_changed || current.is_none();
        self.segments.check(&*self.journal, &self.key, all)?;
        current.map_or(Ok(()), |current| self.check_current(current))
    }

    /// Before a write: checks that no one else has written to the segment in use.
    pub(crate) fn untouched(&mut self, current: &Current, last: &Link) -> Result<(), Unavailable> {
        let now = found(current.identity_now(), &current.name())?;
        if self.current == Some((current.number(), now.changed)) {
            return Ok(());
        }
        self.compare_current(current, last)
    }

    /// Notes a new segment in use, and its time of change.
    pub(crate) fn taken(&mut self, current: &Current, was: i128) {
        self.current = Some((current.number(), was));
    }

    /// Pins a segment that the writer no longer uses.
    pub(crate) fn keep(&mut self, current: &Current, last: &Link) {
        let number = current.number();
        let touched = self.current.take().filter(|(of, _)| *of == number);
        let (changed, zero_from) = match current.has_failed() {
            true => (i128::MIN, None),
            false => {
                let changed = touched.map_or(i128::MIN, |(_, changed)| changed);
                (changed, Some(current.offset()))
            }
        };
        let last = (last.place.segment == number).then_some(*last);
        let is = Identity {
            changed,
            ..*current.identity()
        };
        self.segments.keep(number, is, last, zero_from);
    }

    /// Checks that the spare exists and holds only zeros.
    pub(crate) fn check_spare(&self, spares: &mut Spares) -> Result<(), Unavailable> {
        let Some(spare) = spares.ready() else {
            return Ok(());
        };
        let name = segment::name(spare.number);
        let now = look(&*self.journal, &name, &spare.identity)?;
        writable(&now, &spare.identity, &name)?;
        if now.changed == spare.identity.changed {
            return Ok(());
        }
        segments::is_zero_behind(&*self.journal, spare.number, 0)?;
        spares.set_identity(now);
        Ok(())
    }

    /// Notes the time of change after our write; any later change is someone else's.
    pub(crate) fn written(&mut self, current: &Current) {
        let now = current.identity_now();
        self.current = now.ok().map(|now| (current.number(), now.changed));
    }

    pub(crate) fn key(&self) -> Arc<Key> {
        Arc::clone(&self.key)
    }

    /// Writes our line to the lock again if another process did nothing but write its own. If that process still
    /// runs, it changes the lock again, and the next check finds that.
    pub(crate) fn claim_lock(&mut self, highest: impl Fn() -> u64) -> Result<(), Unavailable> {
        if self.lock.is_of_another() {
            self.check_names(highest)?;
            found(self.lock.write_again(), LOCK)?;
        }
        Ok(())
    }

    /// The line that this process wrote to the lock.
    pub(crate) fn lock_line(&self) -> String {
        String::from_utf8_lossy(self.lock.content()).into_owned()
    }

    /// The held lock, if it is the file in this folder.
    pub(crate) fn lock_in(&self, folder: &dyn Folder) -> io::Result<Option<Arc<dyn File>>> {
        self.lock.file_in(folder)
    }

    /// The fault if the path no longer leads to the held folders.
    pub(crate) fn moved(&self) -> Option<Unavailable> {
        let found = self.held_folders().err()?;
        (found.cause == Cause::FolderMoved).then_some(found)
    }

    /// The present identities of the held folders; an error if a name leads elsewhere.
    fn held_folders(&self) -> Result<(Identity, Identity), Unavailable> {
        let held = |now: io::Result<Identity>, held: &Identity, place: &str, moved: &str| match now
        {
            Ok(now) if now.same_file(held) => Ok(now),
            Err(error) if !is_no_folder(&error) => Err(unread(&error, place)),
            _ => Err(closed(Cause::FolderMoved, moved)),
        };
        let (root, journal) = (self.disk.look(&self.path), self.root.look(JOURNAL));
        let moved = "the trail's path leads to another folder";
        let root = held(
            root,
            &self.root_is,
            "cannot look at the trail's path",
            moved,
        )?;
        let moved = "`journal` is another folder";
        let journal = held(journal, &self.journal_is, "cannot look at `journal`", moved)?;
        Ok((root, journal))
    }

    /// Checks the folders; returns whether names in the journal may have changed.
    fn check_folders(&mut self, highest: impl Fn() -> u64) -> Result<bool, Unavailable> {
        let (root, journal) = self.held_folders()?;
        writable(&root, &self.root_is, "the trail's folder")?;
        writable(&journal, &self.journal_is, "the folder `journal`")?;
        if self.names.is_checked(journal.changed) {
            return Ok(false);
        }
        self.check_names(highest)
            .inspect_err(|_| self.names = LastChange::new(i128::MIN))?;
        Ok(true)
    }

    fn check_names(&self, highest: impl Fn() -> u64) -> Result<(), Unavailable> {
        let numbers = found(segment::numbers(&*self.journal), JOURNAL)?;
        // Read after the listing, because the spare's thread may just have assigned a number.
        let ours = highest();
        match numbers.last().filter(|last| **last > ours) {
            None => Ok(()),
            Some(last) => {
                let what = format!("segment {} is not ours", segment::name(*last));
                Err(closed(Cause::SecondWriter, what))
            }
        }
    }

    fn check_current(&mut self, current: &Current) -> Result<(), Unavailable> {
        let name = current.name();
        let now = look(&*self.journal, &name, current.identity())?;
        writable(&now, current.identity(), &name)?;
        match current.last_block_holds() {
            Ok(true) => {}
            Ok(false) => {
                let what = format!("{name} holds other bytes than the gateway wrote");
                return Err(closed(Cause::Altered, what));
            }
            Err(error) => return Err(unread(&error, &format!("cannot read {name}"))),
        }
        self.written(current);
        Ok(())
    }

    fn compare_current(&mut self, current: &Current, last: &Link) -> Result<(), Unavailable> {
        let number = current.number();
        look(&*self.journal, &current.name(), current.identity())?;
        if last.place.segment == number {
            segments::holds(&*self.journal, number, last, &self.key)?;
        }
        segments::is_zero_behind(&*self.journal, number, current.offset())?;
        note_names(current);
        self.written(current);
        Ok(())
    }

    /// Blames a fault of the lock on another writer if its content is another writer's name.
    fn lock_fault(&self, found: Unavailable) -> Unavailable {
        let is_content = matches!(found.cause, Cause::Altered | Cause::Truncated);
        if is_content && self.lock.is_of_another() {
            return closed(Cause::SecondWriter, "another process took `lock`");
        }
        found
    }
}

fn found<T>(what: io::Result<T>, name: &str) -> Result<T, Unavailable> {
    what.map_err(|error| trouble(&error, &format!("cannot look at {name}")))
}

fn writable(now: &Identity, was: &Identity, name: &str) -> Result<(), Unavailable> {
    if was.writable && !now.writable {
        return Err(closed(
            Cause::ReadOnly,
            format!("{name} was made read-only"),
        ));
    }
    Ok(())
}

/// Warns about a hard link to the segment. It is no fault: a backup may create one.
fn note_names(current: &Current) {
    if current.names().is_ok_and(|names| names > 1) {
        let name = current.name();
        tracing::warn!(
            "segment {name} of the trail has a second name (a hard link), through which it can be altered: make backups by copying"
        );
    }
}

/// The identity of a file, which must be the known one and as long as before.
fn look(folder: &dyn Folder, name: &str, known: &Identity) -> Result<Identity, Unavailable> {
    let now = look_at(folder, name)?;
    if !now.same_file(known) {
        return Err(closed(
            Cause::Replaced,
            format!("{name} is another file now"),
        ));
    }
    same_length(&now, known, name)?;
    Ok(now)
}

/// The identity of a file, which must exist.
fn look_at(folder: &dyn Folder, name: &str) -> Result<Identity, Unavailable> {
    match folder.look(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(closed(Cause::Unlinked, format!("{name} was unlinked")))
        }
        other => found(other, name),
    }
}

fn same_length(now: &Identity, known: &Identity, name: &str) -> Result<(), Unavailable> {
    match now.bytes.cmp(&known.bytes) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(closed(
            Cause::Truncated,
            format!("{name} is shorter than it was"),
        )),
        std::cmp::Ordering::Greater => Err(closed(
            Cause::Altered,
            format!("{name} is longer than it was"),
        )),
    }
}
