//! The connections to one origin: the idle connections, and a slot for each connection in use.
//!
//! The idle connections and those in use together never exceed `max_connections`. A request first takes a
//! slot. If there is no room for a new connection, the oldest idle connection is closed.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::connect::{Connection, Connector};
use super::settings::Settings;
use crate::clock::Clock;
use crate::forward::{Failure, FailureKind};
use crate::metrics::Metrics;
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
    _slot: OwnedSemaphorePermit,
    /// Whether the connection has carried a request before.
    pub(super) used: bool,
    /// When the request got the connection.
    pub(super) begun: Instant,
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
        Ok(Arc::new(Self {
            origin,
            host,
            slots: Arc::new(Semaphore::new(
                settings.max_connections.min(Semaphore::MAX_PERMITS),
            )),
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
        want: Want,
        mut now: Instant,
        deadline: Instant,
    ) -> Result<Lease, Failure> {
        let slot = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                let slot = Box::pin(self.wait_for_slot(now, deadline)).await?;
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

    async fn wait_for_slot(
        &self,
        now: Instant,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, Failure> {
        let limit = deadline.min(now + self.settings.connect_timeout);
        let slots = Arc::clone(&self.slots);
        let Ok(Ok(slot)) = timeout_at(limit, slots.acquire_owned()).await else {
            let detail = format!(
                "all {} connections to {} were in use",
                self.settings.max_connections, self.origin
            );
            return Err(failure(FailureKind::Saturated, detail));
        };
        Ok(slot)
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
            "upstream takes the request and does not answer in `head_timeout`: look at upstream's own health; list deletions in doubt with `lychgate audit unresolved` (docs/operations.md, \"Upstream\")"
        }
        "connection-lost" | "protocol" => {
            "upstream, or a proxy before it, takes the request and gives no usable answer: look at its log; list deletions in doubt with `lychgate audit unresolved` (docs/operations.md, \"Upstream\")"
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
