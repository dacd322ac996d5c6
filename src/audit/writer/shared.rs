//! The state that the trail's handles and the writer share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Settings;
use super::write_queue::WriteQueue;
use crate::audit::entry::TurnedAway;
use crate::audit::entry::refusal_rate_limit::RefusalRateLimit;
use crate::audit::status::availability::Availability;
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The state that the handles and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) availability: Arc<Availability>,
    pub(crate) queue: Arc<WriteQueue>,
    pub(crate) clock: Clock,
    /// The folder whose lock the writer holds; `None` if the writer holds none.
    pub(crate) holding: watch::Sender<Option<Held>>,
    /// The number of [`Held`] values so far.
    held: AtomicU64,
    floods: Mutex<RefusalRateLimit>,
}

/// Identifies a folder that the writer holds. Another folder gets a new value, even if it has the same
/// path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(u64);

impl Shared {
    pub(crate) fn new(settings: &Settings, clock: Clock, metrics: &Metrics) -> Arc<Self> {
        let (timeout, levels) = (settings.sync_timeout, settings.space);
        Arc::new(Self {
            availability: Availability::new(
                settings.directory.clone(),
                timeout,
                levels,
                clock.clone(),
                metrics.clone(),
            ),
            queue: Arc::default(),
            clock,
            holding: watch::Sender::new(None),
            held: AtomicU64::new(0),
            floods: Mutex::default(),
        })
    }

    /// Reports that the writer holds a folder and its lock.
    pub(crate) fn holds(&self) {
        let number = self.held.fetch_add(1, Ordering::Relaxed);
        self.holding.send_replace(Some(Held(number)));
    }

    /// Reports that the writer has released the folder and its lock.
    pub(crate) fn lets_go(&self) {
        self.holding.send_replace(None);
    }

    /// Takes the summary of the refusals since the last call. It leaves out each refusal that has an
    /// entry of its own.
    pub(crate) fn summary(&self) -> Option<TurnedAway> {
        self.floods().take()
    }

    pub(crate) fn floods(&self) -> std::sync::MutexGuard<'_, RefusalRateLimit> {
        self.floods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
