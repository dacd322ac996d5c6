//! Keeps one pool per origin, and a task that closes connections that were idle for too long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::connect::Connector;
use super::origin_pool::{OriginPool, failure};
use super::settings::Settings;
use crate::clock::Clock;
use crate::forward::{Failure, FailureKind};
use crate::metrics::Metrics;
use crate::request::Origin;
use crate::trouble::Present;

/// The most origins with a pool at once.
const MAX_ORIGINS: usize = 1024;

type OriginPools = BTreeMap<Arc<Origin>, Arc<OriginPool>>;

/// One [`OriginPool`] per origin.
#[derive(Debug)]
pub(super) struct Pool {
    origins: Arc<ArcSwap<OriginPools>>,
    /// Locked while an origin is added. A look-up takes no lock.
    adding: Mutex<()>,
    settings: Arc<Settings>,
    connector: Arc<Connector>,
    metrics: Metrics,
    clock: Clock,
    _reaper: AbortOnDropHandle<()>,
}

impl Pool {
    /// An empty pool. Must be called within a tokio runtime.
    pub(super) fn new(
        settings: Arc<Settings>,
        connector: Connector,
        metrics: Metrics,
        clock: Clock,
    ) -> Self {
        let origins = Arc::new(ArcSwap::from_pointee(OriginPools::new()));
        let reaper = tokio::spawn(reap(Arc::clone(&origins), settings.idle_timeout));
        Self {
            origins,
            adding: Mutex::new(()),
            settings,
            connector: Arc::new(connector),
            metrics,
            clock,
            _reaper: AbortOnDropHandle::new(reaper),
        }
    }

    /// Returns the pool of this origin. Adds a pool if there is none.
    pub(super) fn origin_pool(&self, origin: &Arc<Origin>) -> Result<Arc<OriginPool>, Failure> {
        if let Some(pool) = self.origins.load().get(origin) {
            return Ok(Arc::clone(pool));
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut origins = OriginPools::clone(&self.origins.load());
        if let Some(pool) = origins.get(origin) {
            return Ok(Arc::clone(pool));
        }
        if origins.len() >= MAX_ORIGINS {
            origins.retain(|_, pool| !pool.is_unused());
        }
        if origins.len() >= MAX_ORIGINS {
            let detail = "connections to too many origins are in use";
            return Err(failure(FailureKind::Saturated, detail));
        }
        let pool = OriginPool::new(
            Arc::clone(origin),
            Arc::clone(&self.settings),
            Arc::clone(&self.connector),
            self.metrics.clone(),
            self.clock.clone(),
        )?;
        origins.insert(Arc::clone(origin), Arc::clone(&pool));
        self.origins.store(Arc::new(origins));
        Ok(pool)
    }

    /// The origins to which requests fail now.
    pub(super) fn troubles(&self) -> Vec<(String, Present)> {
        let origins = self.origins.load();
        origins.values().filter_map(|pool| pool.trouble()).collect()
    }
}

async fn reap(origins: Arc<ArcSwap<OriginPools>>, idle_timeout: Duration) {
    let pause = (idle_timeout / 4).clamp(Duration::from_millis(20), Duration::from_secs(5));
    loop {
        tokio::time::sleep(pause).await;
        let now = Instant::now();
        for pool in origins.load().values() {
            pool.reap(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        let settings = Settings {
            connect_timeout: Duration::from_secs(1),
            head_timeout: Duration::from_secs(1),
            total_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(1),
            max_connections: 1,
            roots_file: None,
        };
        let tls = crate::tls::ClientTls::new(None).unwrap();
        Pool::new(
            settings.into(),
            Connector::new(tls),
            Metrics::new(),
            Clock::system(),
        )
    }

    fn origin(port: u16) -> Arc<Origin> {
        Arc::new(Origin {
            tls: false,
            host: "127.0.0.1".into(),
            port,
        })
    }

    #[tokio::test]
    async fn an_origin_has_one_pool() {
        let pool = pool();
        let first = pool.origin_pool(&origin(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &pool.origin_pool(&origin(1)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &pool.origin_pool(&origin(2)).unwrap()));
    }

    #[tokio::test]
    async fn unused_origins_make_room_for_new_ones() {
        let pool = pool();
        for port in 1..=2_000 {
            pool.origin_pool(&origin(port)).unwrap();
        }
        assert!(pool.origins.load().len() <= MAX_ORIGINS);
    }
}
