//! The trail's functions for commands.

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
    /// The folder whose lock this process holds, if any, and later changes of it.
    #[must_use]
    pub fn holding(&self) -> watch::Receiver<Option<Held>> {
        self.shared().holding.subscribe()
    }

    /// Records the result of a read-back, split if one entry is too small, and waits until it is
    /// durable, at most `sync_timeout`. Returns the index of its first entry.
    ///
    /// # Errors
    /// If the result is not durable in time; the writer may still write it later.
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

    /// Abandons the log in a folder that no process holds, if it does not open, and moves its files
    /// to the quarantine folder. After that, only a log of the new name opens.
    ///
    /// # Errors
    /// If the log opens, another process holds it, the cause ends by itself, the name belongs to an
    /// abandoned log, or the disk failed.
    pub async fn accept_loss(
        settings: Settings,
        acceptance: &Acceptance,
        clock: Clock,
    ) -> Result<Accepted, NotAccepted> {
        Self::accept_loss_on(Arc::new(RealDisk), settings, acceptance, clock).await
    }

    /// [`Self::accept_loss`] on any disk.
    pub(crate) async fn accept_loss_on(
        disk: Arc<dyn Disk>,
        settings: Settings,
        acceptance: &Acceptance,
        clock: Clock,
    ) -> Result<Accepted, NotAccepted> {
        let metrics = Metrics::new();
        let trail = Self::open_on(Arc::clone(&disk), settings.clone(), clock.clone(), metrics);
        trail.opened().await;
        let found = trail.state().closed;
        trail.stop().await;
        let found = found.or_else(|| accept_loss::published_fault(&*disk, &settings));
        accept_loss::accept(&*disk, &settings, acceptance, found, clock.now())
    }
}
