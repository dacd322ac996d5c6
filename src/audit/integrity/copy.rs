//! A copy of the log at its path, which may not be durable yet.

use super::Integrity;
use crate::audit::status::{Cause, Unavailable, closed, trouble};

/// The number of failed copies that are remembered.
const MOST_UNSYNCED: usize = 16;

impl Integrity {
    /// Keeps in mind which copies could not be synced.
    pub(crate) fn remember_failed_copies(&mut self, before: &Self) {
        self.pending.clone_from(&before.pending);
    }

    /// Makes the log at the path durable, because it or a file of it may be a copy. After a failed sync the kernel
    /// may count unwritten pages as written, so no later sync of that copy can be trusted.
    pub(crate) fn sync_copy(&mut self, copy: &mut Self) -> Result<(), Unavailable> {
        // A new folder may reuse the inode of a removed one.
        let made = copy.journal.made();
        let mut pending = self.pending.iter();
        if pending.any(|(is, when)| is.same_file(&copy.journal_is) && *when == made) {
            let what = "an earlier sync of this copy failed, so it cannot be trusted: put another copy there";
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
