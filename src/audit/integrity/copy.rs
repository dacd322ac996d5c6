//! A copy of the log at its path: whoever made it may not have synced it.

use super::Integrity;
use crate::audit::status::{Cause, Unavailable};
use crate::audit::status::{closed, trouble};

/// So many copies are remembered.
const MOST_UNSYNCED: usize = 16;

impl Integrity {
    /// Makes a copy of this log durable. After a failed sync the system may count pages as written that
    /// are not, so no later sync of that copy is believed.
    pub(crate) fn sync_copy(&mut self, copy: &mut Self) -> Result<(), Unavailable> {
        copy.pending.clone_from(&self.pending);
        if copy.journal_is.same_file(&self.journal_is) {
            return Ok(());
        }
        // A folder that is made anew may have the inode of one that is gone.
        let made = copy.journal.made();
        let mut pending = self.pending.iter();
        if pending.any(|(is, when)| is.same_file(&copy.journal_is) && *when == made) {
            let what = "a sync failed in it, so it is not taken: put another copy there";
            return Err(closed(Cause::SyncFailed, what));
        }
        let synced = copy.journal.sync_disk();
        synced
            .and_then(|()| copy.root.sync_disk())
            .map_err(|error| {
                self.pending.truncate(MOST_UNSYNCED - 1);
                self.pending.insert(0, (copy.journal_is, made));
                trouble(&error, "cannot sync it")
            })
    }
}
