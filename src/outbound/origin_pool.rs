//! The connections to one origin: the idle ones, newest last, and a slot for each one in use.
//!
//! Idle and used connections together never exceed `max_connections`: a request takes a slot first, and a new
//! connection pushes the oldest idle one out if there is no room.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, Connector};
use crate::forward::{Failure, FailureKind};
use crate::metrics::Metrics;
use crate::request::Origin;

/// How long hyper's task may take to make a returned connection ready again.
const SETTLE: Duration = Duration::from_millis(20);

/// Which connection suits a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Any live one.
    Any,
    /// A new one, or one that was used within this time.
    UsedWithin(Duration),
    /// A new one.
    New,
}

/// The bounds of one origin's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) max_connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Duration,
}

/// One origin's connections.
#[derive(Debug)]
pub(super) struct OriginPool {
    origin: Arc<Origin>,
    host: HeaderValue,
    bounds: Bounds,
    connector: Arc<Connector>,
    metrics: Metrics,
    slots: Semaphore,
    /// Oldest first. The lock covers a push or a pop.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection in use. A drop closes it at once; [`Self::give_back`] makes it idle.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    slot: Slot,
    /// Whether it carried a request before.
    used: bool,
    /// When the request got it.
    begun: Instant,
}

/// The right to one connection.
#[derive(Debug)]
struct Slot(Arc<OriginPool>);

impl OriginPool {
    /// A pool without connections.
    pub(super) fn new(
        origin: Arc<Origin>,
        bounds: Bounds,
        connector: Arc<Connector>,
        metrics: Metrics,
    ) -> Result<Arc<Self>, Failure> {
        let host = HeaderValue::try_from(origin.authority())
            .map_err(|_| failure(FailureKind::Unreachable, "the origin's host is no header"))?;
        Ok(Arc::new(Self {
            origin,
            host,
            bounds,
            connector,
            metrics,
            slots: Semaphore::new(bounds.max_connections.min(Semaphore::MAX_PERMITS)),
            idle: Mutex::default(),
        }))
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The value of `host`.
    pub(super) fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// A suitable connection, by `deadline` at the latest. `now` is the time of the call: this reads the clock again
    /// only after a wait.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        want: Want,
        mut now: Instant,
        deadline: Instant,
    ) -> Result<Lease, Failure> {
        let slot = match self.free_slot() {
            Some(slot) => slot,
            None => {
                let slot = Box::pin(self.wait_for_slot(now, deadline)).await?;
                now = Instant::now();
                slot
            }
        };
        while let Some(mut connection) = self.take_idle(want, now) {
            if connection.is_fit(self.origin.tls, SETTLE).await {
                return Ok(Lease {
                    connection: Some(connection),
                    slot,
                    used: true,
                    begun: now,
                });
            }
            connection.abort();
        }
        // Boxed: a request that finds an idle connection needs no room to make one.
        let connection = Box::pin(self.connect(deadline)).await?;
        Ok(Lease {
            connection: Some(connection),
            slot,
            used: false,
            begun: Instant::now(),
        })
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        self.make_room();
        let limit = deadline.min(Instant::now() + self.bounds.connect_timeout);
        let connected = timeout_at(limit, self.connector.connect(&self.origin, limit)).await;
        let connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(detail)) => return Err(failure(FailureKind::Unreachable, detail)),
            Err(_) => {
                let detail = format!("{} was not connected in time", self.origin);
                return Err(failure(FailureKind::Unreachable, detail));
            }
        };
        self.metrics.upstream_connections.inc();
        Ok(connection)
    }

    /// Drops connections that were idle for too long or that upstream closed.
    pub(super) fn reap(&self, now: Instant) {
        let idle_timeout = self.bounds.idle_timeout;
        let mut idle = self.idle();
        let (keep, over): (Vec<_>, Vec<_>) = idle.drain(..).partition(|idle| {
            now.saturating_duration_since(idle.since) < idle_timeout
                && !idle.connection.sender.is_closed()
        });
        *idle = keep;
        drop(idle);
        // Closed outside the lock.
        drop(over);
    }

    /// Whether no connection is open or under construction.
    pub(super) fn is_unused(&self) -> bool {
        self.in_use() == 0 && self.idle().is_empty()
    }

    fn free_slot(self: &Arc<Self>) -> Option<Slot> {
        let permit = self.slots.try_acquire().ok()?;
        permit.forget();
        Some(Slot(Arc::clone(self)))
    }

    async fn wait_for_slot(
        self: &Arc<Self>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Slot, Failure> {
        let limit = deadline.min(now + self.bounds.connect_timeout);
        let Ok(Ok(permit)) = timeout_at(limit, self.slots.acquire()).await else {
            let detail = format!(
                "all {} connections to {} were in use",
                self.bounds.max_connections, self.origin
            );
            return Err(failure(FailureKind::Saturated, detail));
        };
        permit.forget();
        Ok(Slot(Arc::clone(self)))
    }

    /// Takes the newest idle connection if it is young enough: all others are older.
    fn take_idle(&self, want: Want, now: Instant) -> Option<Connection> {
        let oldest = match want {
            Want::Any => self.bounds.idle_timeout,
            Want::UsedWithin(time) => time.min(self.bounds.idle_timeout),
            Want::New => return None,
        };
        let mut idle = self.idle();
        if now.saturating_duration_since(idle.last()?.since) >= oldest {
            return None;
        }
        idle.pop().map(|idle| idle.connection)
    }

    fn make_room(&self) {
        let mut idle = self.idle();
        let room = self.bounds.max_connections.saturating_sub(self.in_use());
        let over = idle.len().saturating_sub(room);
        let pushed_out: Vec<_> = idle.drain(..over).collect();
        drop(idle);
        drop(pushed_out);
    }

    fn in_use(&self) -> usize {
        self.bounds
            .max_connections
            .saturating_sub(self.slots.available_permits())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every idle connection to a test.
    #[cfg(test)]
    pub(super) fn each_idle<T>(
        &self,
        look: impl Fn(&Arc<super::counted_stream::CountedStream>) -> T,
    ) -> Vec<T> {
        let idle = self.idle();
        idle.iter().map(|at| look(&at.connection.stream)).collect()
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Whether it carried a request before.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    /// When the request got it.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// The pool that it belongs to.
    pub(super) fn pool(&self) -> &OriginPool {
        &self.slot.0
    }

    /// Makes it idle, after the answer's last byte. Closes it if the whole request has not left (an early answer) or
    /// upstream has closed it.
    pub(super) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if connection.sender.is_closed() || connection.stream.sent_at().is_none() {
            connection.abort();
            return;
        }
        let since = Instant::now();
        self.slot.0.idle().push(Idle { connection, since });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abort();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.add_permits(1);
    }
}

/// A failure before a byte left.
pub(super) fn failure(kind: FailureKind, detail: impl Into<Cow<'static, str>>) -> Failure {
    Failure {
        kind,
        bytes_left: false,
        detail: detail.into(),
    }
}
