//! Whether the trail's files are still ours: a sync succeeds on an unlinked file, too.
//!
//! What is cheap is judged after each sync, before anybody is answered: that each name still
//! leads to the file that was opened, its length, that nothing of it was written to by others (the
//! file system's time of change says when to read it again), and that no segment is there
//! that we did not make. What is in doubt is judged anew, byte for byte, before deletions are
//! taken again.

pub(crate) mod scrub;

mod copy;
mod pinned_file;
mod published;
pub(crate) mod published_log;
mod segments;
mod unread;

use super::status::{closed, trouble};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::disk::names::JOURNAL;
use super::disk::{Disk, File, Folder, Identity};
use super::journal::append::Current;
use super::journal::batch::Link;
use super::journal::chain::Chain;
use super::journal::segment;
use super::journal::spare::Spares;
use super::log::key::Key;
use super::status::{Cause, Unavailable};
use pinned_file::Seen;
pub(crate) use pinned_file::Text;
pub(crate) use published::{Published, altered, unlinked};
pub(crate) use segments::Segments;
pub(crate) use unread::{cause_at_opening, unread, unread_at_opening};
use unread::{is_no_folder, misread};

/// What is held open, and what it was when it was opened.
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
    lock: Text,
    verifier: Text,
    /// When the journal's names last changed.
    names: Seen,
    /// The segment in use, and its time of change after our last write to it.
    current: Option<(u64, i128)>,
    /// Journals of copies that could not be synced, and when each was made.
    pending: Vec<(Identity, Option<i128>)>,
}

/// What [`Integrity`] is made of.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) path: PathBuf,
    pub(crate) root: Arc<dyn Folder>,
    pub(crate) journal: Arc<dyn Folder>,
    pub(crate) lock: Text,
    pub(crate) verifier: Text,
    pub(crate) key: Arc<Key>,
}

impl Integrity {
    /// Of what was just opened.
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
            names: Seen::new(i128::MIN),
            current: None,
            pending: Vec::new(),
        })
    }

    /// Keeps every segment that stands there now, as recovery found it.
    pub(crate) fn keep_all(&self) -> Result<(), Unavailable> {
        found(self.segments.keep_all(&*self.journal), JOURNAL)
    }

    /// Judges everything that is cheap to judge; `highest` says the highest segment number we gave.
    pub(crate) fn check(
        &mut self,
        current: Option<&Current>,
        highest: impl Fn() -> u64,
    ) -> Result<(), Unavailable> {
        let names_changed = self.check_folders(highest)?;
        self.lock
            .check(&*self.root)
            .map_err(|found| self.by_whom(found))?;
        self.verifier.check(&*self.root)?;
        let all = names_changed || current.is_none();
        self.segments.check(&*self.journal, &self.key, all)?;
        current.map_or(Ok(()), |current| self.check_current(current))
    }

    /// Before a write: that nobody else has written to the segment in use since ours.
    pub(crate) fn untouched(&mut self, current: &Current, last: &Link) -> Result<(), Unavailable> {
        let now = found(current.identity_now(), &current.name())?;
        if self.current == Some((current.number(), now.changed)) {
            return Ok(());
        }
        self.compare_current(current, last)
    }

    /// A segment was taken into use that was last changed then.
    pub(crate) fn taken(&mut self, current: &Current, was: i128) {
        self.current = Some((current.number(), was));
    }

    /// Keeps a segment that is not written to any more.
    pub(crate) fn keep(&mut self, current: &Current, last: &Link) {
        let (number, is) = current.known();
        let touched = self.current.take().filter(|(of, _)| *of == number);
        let changed = touched.map_or(i128::MIN, |(_, changed)| changed);
        let last = (last.place.segment == number).then_some(*last);
        let (is, zero_from) = (Identity { changed, ..is }, Some(current.offset()));
        self.segments.keep(number, is, last, zero_from);
    }

    /// As [`Self::keep`], of one whose last write failed.
    pub(crate) fn keep_known(&mut self, number: u64, is: Identity, last: &Link) {
        let last = (last.place.segment == number).then_some(*last);
        let changed = i128::MIN;
        let is = Identity { changed, ..is };
        self.segments.keep(number, is, last, None);
    }

    /// That the spare is as it was made: zeros under its name.
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
        spares.judged(now);
        Ok(())
    }

    /// As [`Self::check_spare`], which holds nothing of the log: one that is gone is made anew, and
    /// another file of zeros is taken in its place.
    pub(crate) fn judge_spare_again(&self, spares: &mut Spares) -> Result<(), Unavailable> {
        match self.check_spare(spares) {
            Err(_) if spares.let_go() => Ok(()),
            Err(found) if found.cause == Cause::Replaced => {
                self.take_spare(spares).map_err(|_| found)
            }
            judged => judged,
        }
    }

    fn take_spare(&self, spares: &mut Spares) -> Result<(), Unavailable> {
        let Some(spare) = spares.ready() else {
            return Ok(());
        };
        let name = segment::name(spare.number);
        as_long(&look_at(&*self.journal, &name)?, &spare.identity, &name)?;
        segments::is_zero_behind(&*self.journal, spare.number, 0)?;
        found(spares.take_other(), &name)
    }

    /// After a write: from here on the segment in use changes by others alone.
    pub(crate) fn written(&mut self, current: &Current) {
        let now = current.identity_now();
        self.current = now.ok().map(|now| (current.number(), now.changed));
    }

    /// Judges all anew: what this process knows, up to this last batch, must be found, byte for byte.
    pub(crate) fn judge_again(
        &mut self,
        last: &Link,
        highest: impl Fn() -> u64,
    ) -> Result<(), Unavailable> {
        self.names = Seen::new(i128::MIN);
        self.check_folders(highest)?;
        self.verifier.judge_again(&*self.root, false)?;
        self.segments.judge_again(&*self.journal, &self.key)?;
        self.follow_to(last)?;
        match self.lock.judge_again(&*self.root, true) {
            Err(found) if self.by_whom(found.clone()).cause == Cause::SecondWriter => {
                // Whoever wrote there has left nothing else: the name on it is ours again, and
                // would not stay so if there were somebody else.
                let at = |e| trouble(&e, "cannot write to the lock");
                self.lock.write_again().map_err(at)
            }
            judged => judged,
        }
    }

    fn follow_to(&self, last: &Link) -> Result<(), Unavailable> {
        let chain = Chain::new(Arc::clone(&self.journal), Some(&self.key));
        let mut chain = chain.map_err(|e| misread(&e))?;
        while chain.last() != *last {
            if chain.next_batch().map_err(|e| misread(&e))?.is_none() {
                let what = "the journal ends before the last record";
                return Err(closed(Cause::Altered, what));
            }
        }
        Ok(())
    }

    /// The lock that is held, if it is the one in this folder.
    pub(crate) fn lock_in(&self, folder: &dyn Folder) -> Option<Arc<dyn File>> {
        self.lock.file_in(folder)
    }

    /// What is wrong if the path does not lead to the held folders any more.
    pub(crate) fn moved(&self) -> Option<Unavailable> {
        let found = self.held_folders().err()?;
        (found.cause == Cause::FolderMoved).then_some(found)
    }

    /// The folders as they are now, where each name leads to the one that is held.
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

    /// Judges the folders; says whether names in the journal may have changed.
    fn check_folders(&mut self, highest: impl Fn() -> u64) -> Result<bool, Unavailable> {
        let (root, journal) = self.held_folders()?;
        writable(&root, &self.root_is, "the trail's folder")?;
        writable(&journal, &self.journal_is, "the folder `journal`")?;
        if self.names.is_judged(journal.changed) {
            return Ok(false);
        }
        self.check_names(highest)
            .inspect_err(|_| self.names = Seen::new(i128::MIN))?;
        Ok(true)
    }

    fn check_names(&self, highest: impl Fn() -> u64) -> Result<(), Unavailable> {
        let numbers = found(segment::numbers(&*self.journal), JOURNAL)?;
        // Asked behind the listing: the spare's own thread may just have given a number.
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
                let what = format!("{name} does not hold what was written to it");
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

    /// What is wrong with the lock: a name on it that is not ours is another writer's.
    fn by_whom(&self, found: Unavailable) -> Unavailable {
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

/// Says that a segment is to be had by another name as well. It is no fault: a backup may be made so.
fn note_names(current: &Current) {
    if current.names().is_ok_and(|names| names > 1) {
        let name = current.name();
        tracing::warn!(
            "segment {name} of the trail has another name (a hard link), by which it can be altered: make backups by copying"
        );
    }
}

/// What stands under a name, where it is the file that is known, as long as it was.
fn look(folder: &dyn Folder, name: &str, known: &Identity) -> Result<Identity, Unavailable> {
    let now = look_at(folder, name)?;
    if !now.same_file(known) {
        return Err(closed(
            Cause::Replaced,
            format!("{name} is another file now"),
        ));
    }
    as_long(&now, known, name)?;
    Ok(now)
}

/// What stands under a name.
fn look_at(folder: &dyn Folder, name: &str) -> Result<Identity, Unavailable> {
    match folder.look(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(closed(Cause::Unlinked, format!("{name} was unlinked")))
        }
        other => found(other, name),
    }
}

fn as_long(now: &Identity, known: &Identity, name: &str) -> Result<(), Unavailable> {
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
