//! What commands write into the trail.

use tokio::sync::{oneshot, watch};

use super::{Closed, Held, Trail, late};
use crate::audit::Cause;
use crate::audit::entry::compose;
use crate::audit::entry::{Kind, Reconciled};
use crate::audit::integrity::closed;
use crate::audit::writer::inbox::{NewLoss, NewNote};
use crate::audit::writer::loss::{Acceptance, Accepted};

impl Trail {
    /// Which folder this process holds with its lock, if it holds one; it tells when that changes.
    #[must_use]
    pub fn holding(&self) -> watch::Receiver<Option<Held>> {
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
    /// Moves what is left of the log aside, where the trail is closed for a cause that may be a loss;
    /// from then on only a log of the new name is opened. Waits for it.
    ///
    /// # Errors
    /// The cause, where it is none that may be a loss (`recovering`: the trail is open), the name was
    /// lost before, or the disk would not.
    pub async fn accept_loss(&self, acceptance: Acceptance) -> Result<Accepted, Closed> {
        let (sender, answer) = oneshot::channel();
        let loss = NewLoss {
            acceptance,
            answer: sender,
        };
        if !self.shared().inbox.loss(loss) {
            return Err(closed(Cause::Recovering, "another command waits"));
        }
        let stopped = || closed(Cause::SyncFailed, "the trail has stopped");
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}
