//! What the trail's handles and the writer share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::Settings;
use super::write_queue::WriteQueue;
use crate::audit::entry::TurnedAway;
use crate::audit::entry::refusal_rate_limit::RefusalRateLimit;
use crate::audit::status::availability::Availability;
use crate::clock::Clock;
use crate::metrics::Metrics;

/// What the handles and the writer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) availability: Arc<Availability>,
    pub(crate) queue: Arc<WriteQueue>,
    pub(crate) clock: Clock,
    /// Which folder the writer holds with its lock, if it holds one.
    pub(crate) holding: watch::Sender<Option<Held>>,
    /// Folders held so far.
    held: AtomicU64,
    floods: Mutex<RefusalRateLimit>,
}

/// A folder that is held; one that is held later, in its place too, is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(u64);

impl Shared {
    pub(crate) fn new(settings: &Settings, clock: Clock, metrics: &Metrics) -> Arc<Self> {
        let bounds = (settings.sync_timeout, settings.space);
        Arc::new(Self {
            availability: Availability::new(bounds, clock.clone(), metrics.clone()),
            queue: Arc::default(),
            clock,
            holding: watch::Sender::new(None),
            held: AtomicU64::new(0),
            floods: Mutex::new(RefusalRateLimit::new(Instant::now())),
        })
    }

    /// The writer holds a folder and its lock, or another one than before.
    pub(crate) fn holds(&self) {
        let number = self.held.fetch_add(1, Ordering::Relaxed);
        self.holding.send_replace(Some(Held(number)));
    }

    /// The writer has given the folder and its lock back.
    pub(crate) fn lets_go(&self) {
        self.holding.send_replace(None);
    }

    /// What was summed up since it was last asked.
    pub(crate) fn summary(&self) -> Option<TurnedAway> {
        self.floods().take()
    }

    pub(crate) fn floods(&self) -> std::sync::MutexGuard<'_, RefusalRateLimit> {
        self.floods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
