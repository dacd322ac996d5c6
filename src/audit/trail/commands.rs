//! The functions of [`Trail`] for the commands of an operator: `reconcile` and `accept-loss`.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::{Trail, late};
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::entry::{Kind, Reconciled, compose};
use crate::audit::status::{Cause, Unavailable, closed};
use crate::audit::writer::accept_loss::{Acceptance, Accepted, NotAccepted};
use crate::audit::writer::shared::Held;
use crate::audit::writer::write_queue::NewNote;
use crate::audit::writer::{Settings, accept_loss};
use crate::clock::Clock;
use crate::metrics::Metrics;

impl Trail {
    /// Watches the folder whose lock this process holds. The value is `None` while the process
    /// holds no lock.
    #[must_use]
    pub fn holding(&self) -> watch::Receiver<Option<Held>> {
        self.shared().holding.subscribe()
    }

    /// Records the result of a read-back and waits until the result is durable, but at most
    /// `sync_timeout`. If the result does not fit into one entry, splits it over several. Returns
    /// the index of the first entry.
    ///
    /// # Errors
    /// If the trail refuses deletions, or the result is not durable in time. After a timeout, the
    /// writer may still write the result.
    pub async fn reconciled(&self, whole: Reconciled) -> Result<u64, Unavailable> {
        if let Some(closed) = self.shared().availability.closed() {
            return Err(closed);
        }
        let parts = compose::reconciled(whole).into_iter();
        let bodies = parts.map(|part| compose::body(&Kind::Reconciled(part)));
        let (sender, mut answer) = oneshot::channel();
        let note = NewNote {
            bodies: bodies.collect(),
            answer: sender,
        };
        if note.bodies.is_empty() || !self.shared().queue.note(note) {
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

    /// Abandons a log that does not open, or whose published files are damaged. Moves the log's
    /// files to the quarantine folder. Afterwards, only a log with the new name
    /// (`acceptance.origin`) can be opened in this folder.
    ///
    /// # Errors
    /// If there is no log, if the log is undamaged, if another process holds the lock, if the log is closed for a cause
    /// that ends by itself, if the new name is that of an abandoned log, or if the disk fails.
    pub async fn accept_loss(
        settings: Settings,
        acceptance: &Acceptance,
        clock: Clock,
    ) -> Result<Accepted, NotAccepted> {
        Self::accept_loss_on(Arc::new(RealDisk), settings, acceptance, clock).await
    }

    /// Like [`Self::accept_loss`], but on any [`Disk`].
    pub(crate) async fn accept_loss_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        acceptance: &Acceptance,
        clock: Clock,
    ) -> Result<Accepted, NotAccepted> {
        accept_loss::must_have_log(&*disk, &settings)?;
        let metrics = Metrics::new();
        let trail = Self::open_on(Arc::clone(&disk), settings.clone(), clock.clone(), metrics);
        trail.opened().await;
        let found = trail.state().closed;
        trail.stop().await;
        let found = found.or_else(|| accept_loss::published_fault(&*disk, &settings));
        accept_loss::accept(&*disk, &settings, acceptance, found, clock.now())
    }
}
