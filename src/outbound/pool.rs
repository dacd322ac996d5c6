//! The connections to all origins, and the task that closes those at rest too long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::connect::Connector;
use super::origin_pool::{Bounds, Line, failure};
use crate::forward::{Failure, FailureKind};
use crate::metrics::Metrics;
use crate::request::Origin;

/// Origins that may have connections at once.
const MAX_ORIGINS: usize = 1024;

type Lines = HashMap<Arc<Origin>, Arc<Line>>;

/// One [`Line`] an origin.
#[derive(Debug)]
pub(super) struct Pool {
    lines: Arc<ArcSwap<Lines>>,
    /// Taken to add a line; looking one up takes no lock.
    adding: Mutex<()>,
    bounds: Bounds,
    connector: Arc<Connector>,
    metrics: Metrics,
    reaper: AbortHandle,
}

impl Pool {
    /// An empty pool; must be called within a tokio runtime, for its reaper.
    pub(super) fn new(bounds: Bounds, connector: Connector, metrics: Metrics) -> Self {
        let lines = Arc::new(ArcSwap::from_pointee(Lines::new()));
        let reaper = tokio::spawn(reap(Arc::downgrade(&lines), bounds.idle_timeout));
        Self {
            lines,
            adding: Mutex::new(()),
            bounds,
            connector: Arc::new(connector),
            metrics,
            reaper: reaper.abort_handle(),
        }
    }

    /// The origin's connections.
    ///
    /// # Errors
    /// `Saturated` where too many other origins are in use.
    pub(super) fn line(&self, origin: &Arc<Origin>) -> Result<Arc<Line>, Failure> {
        if let Some(line) = self.lines.load().get(origin) {
            return Ok(Arc::clone(line));
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Lines::clone(&self.lines.load());
        if let Some(line) = lines.get(origin) {
            return Ok(Arc::clone(line));
        }
        if lines.len() >= MAX_ORIGINS {
            lines.retain(|_, line| !line.is_unused());
        }
        if lines.len() >= MAX_ORIGINS {
            let detail = "connections to too many origins are in use";
            return Err(failure(FailureKind::Saturated, detail));
        }
        let line = Line::new(
            Arc::clone(origin),
            self.bounds,
            Arc::clone(&self.connector),
            self.metrics.clone(),
        )?;
        lines.insert(Arc::clone(origin), Arc::clone(&line));
        self.lines.store(Arc::new(lines));
        Ok(line)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

async fn reap(lines: Weak<ArcSwap<Lines>>, idle_timeout: Duration) {
    let pause = (idle_timeout / 4).clamp(Duration::from_millis(20), Duration::from_secs(5));
    loop {
        tokio::time::sleep(pause).await;
        let Some(lines) = lines.upgrade() else {
            return;
        };
        let now = Instant::now();
        for line in lines.load().values() {
            line.reap(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        let bounds = Bounds {
            max_connections: 1,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
        };
        let tls = crate::tls::ClientTls::new(None).unwrap();
        Pool::new(bounds, Connector::new(tls), Metrics::new())
    }

    fn origin(port: u16) -> Arc<Origin> {
        Arc::new(Origin {
            tls: false,
            host: "127.0.0.1".into(),
            port,
        })
    }

    #[tokio::test]
    async fn an_origin_has_one_line() {
        let pool = pool();
        let first = pool.line(&origin(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &pool.line(&origin(1)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &pool.line(&origin(2)).unwrap()));
    }

    #[tokio::test]
    async fn unused_origins_make_room_for_new_ones() {
        let pool = pool();
        for port in 1..=2_000 {
            pool.line(&origin(port)).unwrap();
        }
        assert!(pool.lines.load().len() <= MAX_ORIGINS);
    }
}
