//! The connections to one origin: the idle connections, and a slot for each connection in use.
//!
//! The idle connections and those in use together never exceed `max_connections`. A request first takes a
//! slot. If there is no room for a new connection, the oldest idle connection is closed. The last quarter of
//! the slots is for deletions. Requests that wait for a slot get one in the order in which they came.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, Connector};
use super::settings::Settings;
use crate::clock::Clock;
use crate::forward::{Delivery, Failure, FailureKind};
use crate::metrics::Metrics;
use crate::places;
use crate::request::{Body, Origin};
use crate::trouble::{Present, Trouble};

/// How long hyper's task may take to make a returned connection ready again.
const SETTLE: Duration = Duration::from_millis(20);

/// Which connections suit a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Any live connection.
    Any,
    /// A connection that was used within this time, or a new connection.
    UsedWithin(Duration),
    /// A new connection.
    New,
}

/// The pool of one origin.
#[derive(Debug)]
pub(super) struct OriginPool {
    origin: Arc<Origin>,
    /// The value of the `host` header.
    pub(super) host: HeaderValue,
    settings: Arc<Settings>,
    connector: Arc<Connector>,
    pub(super) metrics: Metrics,
    slots: Arc<Semaphore>,
    /// The slots that reads and writes may hold at once. A read or write takes one of these before it takes
    /// one of `slots`.
    ordinary: Arc<Semaphore>,
    /// The reads and writes that wait for a slot, and the deletions that do: at most as many as there are
    /// slots for them.
    waiting: [AtomicUsize; 2],
    /// The idle connections, oldest first. The lock is held only to change or look at this list.
    idle: Mutex<Vec<Idle>>,
    /// The present failure of requests to the origin, if any.
    trouble: Trouble,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection in use. A drop closes the connection at once; [`Self::give_back`] makes it idle.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    pool: Arc<OriginPool>,
    _slot: Slot,
    /// Whether the connection has carried a request before.
    pub(super) used: bool,
    /// When the request got the connection.
    pub(super) begun: Instant,
}

/// The right to use one connection.
#[derive(Debug)]
struct Slot {
    _any: OwnedSemaphorePermit,
    /// `None` for a deletion.
    _ordinary: Option<OwnedSemaphorePermit>,
}

/// A request that waits for a slot.
struct Waiter<'a> {
    pool: &'a OriginPool,
    is_deletion: bool,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.pool.waiting[usize::from(self.is_deletion)].fetch_sub(1, Ordering::Relaxed);
        self.pool.metrics.upstream_waiting.dec();
    }
}

impl OriginPool {
    /// A pool without connections.
    pub(super) fn new(
        origin: Arc<Origin>,
        settings: Arc<Settings>,
        connector: Arc<Connector>,
        metrics: Metrics,
        clock: Clock,
    ) -> Result<Arc<Self>, Failure> {
        let host = HeaderValue::try_from(origin.authority())
            .map_err(|_| failure(FailureKind::Unreachable, "the origin's host is no header"))?;
        let slots = settings.max_connections.min(Semaphore::MAX_PERMITS);
        let ordinary = places::connections_for_reads_and_writes(slots);
        Ok(Arc::new(Self {
            origin,
            host,
            slots: Arc::new(Semaphore::new(slots)),
            ordinary: Arc::new(Semaphore::new(ordinary)),
            waiting: Default::default(),
            settings,
            connector,
            metrics,
            idle: Mutex::default(),
            trouble: Trouble::new(clock),
        }))
    }

    /// Returns a suitable connection, or an error by `deadline` at the latest. `now` is the time of the call.
    /// After a wait, the function reads the clock again.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        delivery: Delivery,
        want: Want,
        mut now: Instant,
        deadline: Instant,
    ) -> Result<Lease, Failure> {
        let slot = match self.free_slot(delivery) {
            Some(slot) => slot,
            None => {
                let slot = Box::pin(self.wait_for_slot(delivery, now, deadline)).await?;
                now = Instant::now();
                slot
            }
        };
        while let Some(mut connection) = self.take_idle(want, now) {
            if connection.is_fit(self.origin.tls, SETTLE).await {
                return Ok(Lease {
                    connection: Some(connection),
                    pool: Arc::clone(self),
                    _slot: slot,
                    used: true,
                    begun: now,
                });
            }
            connection.abort();
        }
        // Boxed to keep this future small: most requests find an idle connection and never connect.
        let connection = Box::pin(self.connect(deadline)).await?;
        Ok(Lease {
            connection: Some(connection),
            pool: Arc::clone(self),
            _slot: slot,
            used: false,
            begun: Instant::now(),
        })
    }

    /// Logs when requests to the origin begin to fail, and when they succeed again.
    pub(super) fn log(&self, reply: &Result<http::Response<Body>, Failure>) {
        let origin = &self.origin;
        let failure = match reply {
            Err(failure) if failure.kind != FailureKind::RequestBody => failure,
            Err(_) => return,
            Ok(_) => {
                if let Some(ended) = self.trouble.ends() {
                    tracing::info!(%origin, since = %ended.since, failed = ended.count, "upstream answers again");
                }
                return;
            }
        };
        let cause = failure.kind.as_str();
        if let Some(due) = self.trouble.occurs(cause, &failure.detail, 1) {
            tracing::error!(
                %origin,
                cause,
                reason = &*failure.detail,
                failed = due.count,
                since = %due.since,
                remedy = remedy(cause),
                "requests to upstream fail"
            );
        }
    }

    /// For `/readyz?verbose`: why requests to the origin fail now, and what to do.
    pub(super) fn trouble(&self) -> Option<(String, Present)> {
        let mut present = self.trouble.present()?;
        let remedy = remedy(present.cause);
        present.detail = format!("{}: {}; {remedy}", present.cause, present.detail);
        Some((self.origin.to_string(), present))
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, Failure> {
        self.make_room();
        let limit = deadline.min(Instant::now() + self.settings.connect_timeout);
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
        let idle_timeout = self.settings.idle_timeout;
        let mut idle = self.idle();
        let (keep, over): (Vec<_>, Vec<_>) = idle.drain(..).partition(|idle| {
            now.saturating_duration_since(idle.since) < idle_timeout
                && !idle.connection.sender.is_closed()
        });
        *idle = keep;
        drop(idle);
        // Closes the connections after the lock is released.
        drop(over);
    }

    /// Whether no connection is open or being opened.
    pub(super) fn is_unused(&self) -> bool {
        self.in_use() == 0 && self.idle().is_empty()
    }

    /// A slot, if one is free and nobody waits for it.
    fn free_slot(&self, delivery: Delivery) -> Option<Slot> {
        let ordinary = match delivery {
            Delivery::Deletion => None,
            _ => Some(Arc::clone(&self.ordinary).try_acquire_owned().ok()?),
        };
        Some(Slot {
            _any: Arc::clone(&self.slots).try_acquire_owned().ok()?,
            _ordinary: ordinary,
        })
    }

    async fn wait_for_slot(
        &self,
        delivery: Delivery,
        now: Instant,
        deadline: Instant,
    ) -> Result<Slot, Failure> {
        let _waiter = self.waiter(delivery == Delivery::Deletion)?;
        let limit = deadline.min(now + self.settings.connect_timeout);
        let taken = async {
            let ordinary = match delivery {
                Delivery::Deletion => None,
                _ => Some(Arc::clone(&self.ordinary).acquire_owned().await?),
            };
            Ok::<_, AcquireError>(Slot {
                _any: Arc::clone(&self.slots).acquire_owned().await?,
                _ordinary: ordinary,
            })
        };
        match timeout_at(limit, taken).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(self.saturated("none became free in time")),
        }
    }

    /// Joins those who wait for a slot, unless as many wait as there are slots for them.
    fn waiter(&self, is_deletion: bool) -> Result<Waiter<'_>, Failure> {
        let pool = self;
        let before = self.waiting[usize::from(is_deletion)].fetch_add(1, Ordering::Relaxed);
        self.metrics.upstream_waiting.inc();
        let waiter = Waiter { pool, is_deletion };
        let connections = self.settings.max_connections;
        let most = match is_deletion {
            true => connections,
            false => places::connections_for_reads_and_writes(connections),
        };
        if before >= most {
            self.metrics.upstream_waiters_refused.inc();
            return Err(self.saturated("as many requests wait for one"));
        }
        Ok(waiter)
    }

    fn saturated(&self, why: &str) -> Failure {
        let (connections, origin) = (self.settings.max_connections, &self.origin);
        let detail = format!(
            "all {connections} connections to {origin} are in use (reads and writes may use {}), and {why}",
            places::connections_for_reads_and_writes(connections)
        );
        failure(FailureKind::Saturated, detail)
    }

    /// Takes the newest idle connection, unless it was idle for too long. In that case, all other connections
    /// were idle for too long as well.
    fn take_idle(&self, want: Want, now: Instant) -> Option<Connection> {
        let oldest = match want {
            Want::Any => self.settings.idle_timeout,
            Want::UsedWithin(time) => time.min(self.settings.idle_timeout),
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
        let room = self.settings.max_connections.saturating_sub(self.in_use());
        let over = idle.len().saturating_sub(room);
        let pushed_out: Vec<_> = idle.drain(..over).collect();
        drop(idle);
        drop(pushed_out);
    }

    fn in_use(&self) -> usize {
        self.settings
            .max_connections
            .saturating_sub(self.slots.available_permits())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes each idle connection to `look`, for tests.
    #[cfg(test)]
    pub(super) fn each_idle<T>(
        &self,
        look: impl Fn(&Arc<super::counted_stream::CountedStream>) -> T,
    ) -> Vec<T> {
        let idle = self.idle();
        idle.iter().map(|at| look(&at.connection.stream)).collect()
    }
}

/// What an operator can do about requests that fail.
fn remedy(cause: &str) -> &'static str {
    match cause {
        "saturated" => {
            "upstream is too slow for the load: look at `lychgate_upstream_seconds`, or raise `max_connections` in [upstream] (docs/operations.md, \"Upstream\")"
        }
        "timeout" => {
            "upstream takes the request and does not answer in `head_timeout`: look at upstream's own health; list deletions in doubt with `lychgate audit unresolved --config FILE` (docs/operations.md, \"Upstream\")"
        }
        "connection-lost" | "protocol" => {
            "upstream, or a proxy before it, takes the request and gives no usable answer: look at its log; list deletions in doubt with `lychgate audit unresolved --config FILE` (docs/operations.md, \"Upstream\")"
        }
        _ => {
            "try the origin with `curl -v` from this machine: name, route, port and certificate (docs/operations.md, \"Upstream\")"
        }
    }
}

impl Lease {
    pub(super) fn origin(&self) -> &Origin {
        &self.pool.origin
    }

    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }

    /// Returns the connection to the pool after the answer's last byte. Closes the connection instead if
    /// upstream has closed it, or if the answer came before the whole request was sent.
    pub(super) fn give_back(mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if connection.sender.is_closed() || connection.stream.sent_at().is_none() {
            connection.abort();
            return;
        }
        let since = Instant::now();
        self.pool.idle().push(Idle { connection, since });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.abort();
        }
    }
}

/// Makes the failure of a request that was not sent, not even in part.
pub(super) fn failure(kind: FailureKind, detail: impl Into<Cow<'static, str>>) -> Failure {
    Failure {
        kind,
        bytes_left: false,
        status: None,
        detail: detail.into(),
    }
}
