//! Another folder at the trail's path that holds, byte for byte, what this process knows. Nothing is
//! written in it while it is judged; its lock is held from before the first look until it is let go.

use std::collections::VecDeque;
use std::sync::Arc;

use super::text::Seen;
use super::{Custody, FOLDER, closed, found, segments, trouble};
use crate::audit::disk::{Folder, Identity};
use crate::audit::journal::batch::Link;
use crate::audit::journal::segment;
use crate::audit::{Cause, Closed};

/// So many copies are distrusted at a time.
const MOST_DISTRUSTED: usize = 16;

/// Folders that could not be synced, and when each was made: one that is made anew may have the
/// inode of one that is gone. None is held open, so that its disk can be taken away.
#[derive(Clone, Debug, Default)]
pub(super) struct Distrusted(VecDeque<(Identity, Option<i128>)>);

impl Distrusted {
    fn holds(&self, folder: &dyn Folder, now: &Identity) -> bool {
        let made = folder.made();
        self.0
            .iter()
            .any(|(is, when)| is.same_file(now) && *when == made)
    }

    fn push(&mut self, folder: &dyn Folder, is: Identity) {
        self.0.truncate(MOST_DISTRUSTED - 1);
        self.0.push_front((is, folder.made()));
    }
}

impl Custody {
    /// Custody of what stands at the path now, where that is known up to this last batch: `lock` and
    /// `verifier`, each segment as far as it counts and behind it, and nothing else but zeros.
    pub(crate) fn of_copy(&self, last: &Link, highest: u64) -> Result<Self, Closed> {
        let root = self.disk.folder(&self.path, None);
        let mut root = found(root, "the folder at the trail's path")?;
        let root_is = found(root.identity(), "the folder at the trail's path")?;
        if root_is.same_file(&self.root_is) {
            root = Arc::clone(&self.root);
        }
        let lock = self.lock.found_in(&*root, true)?;
        let verifier = self.verifier.found_in(&*root, false)?;
        let journal = found(root.folder(FOLDER, None), FOLDER)?;
        let journal_is = found(journal.identity(), FOLDER)?;
        if self.distrusted.holds(&*journal, &journal_is) {
            let what = "a sync failed in it, so it is not taken: put another copy there";
            return Err(closed(Cause::SyncFailed, what));
        }
        let segments = Arc::new(self.segments.found_in(&*journal, &self.key)?);
        let copy = Self {
            disk: Arc::clone(&self.disk),
            path: self.path.clone(),
            root,
            journal,
            segments,
            placed: Arc::default(),
            key: Arc::clone(&self.key),
            root_is,
            journal_is,
            lock,
            verifier,
            names: Seen::new(i128::MIN),
            current: None,
            distrusted: self.distrusted.clone(),
        };
        copy.follow_to(last)?;
        copy.holds_no_more(highest)?;
        Ok(copy)
    }

    /// Makes what stands in a copy durable. Where that fails, its pages may count as written and not
    /// be, so no later sync of it is believed.
    pub(crate) fn sync_copy(&mut self, copy: &Self) -> Result<(), Closed> {
        let synced = copy
            .journal
            .sync_disk()
            .and_then(|()| copy.root.sync_disk());
        synced.map_err(|error| {
            self.distrusted.push(&*copy.journal, copy.journal_is);
            trouble(&error, "cannot sync it")
        })
    }

    /// That no segment is there which is not known, but what was pruned since and what holds zeros.
    fn holds_no_more(&self, highest: u64) -> Result<(), Closed> {
        let kept = self.segments.held();
        let oldest = kept.first().map_or(0, |(number, _)| *number);
        for number in found(segment::numbers(&*self.journal), FOLDER)? {
            if number < oldest || kept.iter().any(|(known, _)| *known == number) {
                continue;
            }
            if number > highest {
                let what = format!("segment {} is not ours", segment::name(number));
                return Err(closed(Cause::SecondWriter, what));
            }
            segments::is_zero_behind(&*self.journal, number, 0)?;
        }
        Ok(())
    }
}
