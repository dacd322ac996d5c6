//! What commands write into the trail.

use tokio::sync::{oneshot, watch};

use super::{Closed, Trail, late};
use crate::audit::Cause;
use crate::audit::compose;
use crate::audit::custody::closed;
use crate::audit::entry::{Kind, Reconciled};
use crate::audit::inbox::NewNote;

impl Trail {
    /// Whether this process holds the folder and its lock; it tells when that changes.
    #[must_use]
    pub fn holding(&self) -> watch::Receiver<bool> {
        self.shared().holding.subscribe()
    }

    /// Puts what reading a deletion's users back said on record (split where one entry is too small)
    /// and waits until it is durable, at most `sync_timeout`; gives the index of its first entry.
    ///
    /// # Errors
    /// Where it is not durable in time; it may then be written later.
    pub async fn reconciled(&self, whole: Reconciled) -> Result<u64, Closed> {
        if let Some(closed) = self.shared().gate.closed() {
            return Err(closed);
        }
        let parts = compose::reconciled(whole).into_iter();
        let bodies = parts.map(|part| compose::body(&Kind::Reconciled(part)));
        let (sender, mut answer) = oneshot::channel();
        let note = NewNote {
            bodies: bodies.collect(),
            answer: sender,
        };
        if note.bodies.is_empty() || !self.shared().inbox.note(note) {
            return Err(closed(Cause::SyncLate, "too many commands wait"));
        }
        let timeout = self.owner.timeout;
        match tokio::time::timeout(timeout, &mut answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(closed(Cause::SyncFailed, "the trail has stopped")),
            Err(_) => late(&mut answer).unwrap_or_else(|| {
                let what = "the record was not durable in `sync_timeout`";
                Err(closed(Cause::SyncLate, what))
            }),
        }
    }
}
