//! Builds every part from a config; starts, reloads, drains, stops.
//!
//! 1. [`parts`] makes the stack's parts, keeping those whose settings did not change;
//! 2. [`health`] is what the admin listener is told;
//! 3. [`restart`] says what a reload cannot change;
//! 4. [`control`] answers the commands that write to the trail.

mod control;
mod health;
mod parts;
mod restart;

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::{self, Admin};
use crate::audit::Trail;
use crate::audit::log::key;
use crate::clock::Clock;
use crate::config::Config;
use crate::inbound::{self, Counters, Listener, Server};
use crate::layers::record::Deletions;
use crate::metrics::Metrics;
use crate::stack::Stack;
use control::Control;
pub use control::reconciler;
use health::Health;
use parts::Kept;

/// Connections to the admin listener at once.
const MAX_ADMIN_CONNECTIONS: usize = 256;
/// The admin listener's bound on a head, and on an idle connection: short, so that half heads cannot keep
/// a probe waiting for long.
const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// However much of the drain time is used up, answers have so long to be written.
const MIN_GRACE: Duration = Duration::from_secs(1);
/// Beyond `sync_timeout`, what aborted deletions have for closing their records.
const CLOSING_MARGIN: Duration = Duration::from_secs(1);

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    kept: Kept,
    stack: Stack,
    health: Arc<Health>,
    control: Control,
    server: Server,
    admin: Server,
    /// One reload at a time.
    reloading: tokio::sync::Mutex<()>,
    drain_timeout: Duration,
    sync_timeout: Duration,
}

/// Why a gateway did not start or reload: what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GatewayError(pub String);

impl Gateway {
    /// Binds both listeners, starts serving. Trouble with the trail does not keep it from starting.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Where a listener cannot be bound, or keys or roots cannot be read.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, GatewayError> {
        Self::start_with(config, clock, Metrics::new()).await
    }

    /// As [`Self::start`], with metrics that others count into as well.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: Config,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, GatewayError> {
        // Bound first: whoever connects from here on waits in the backlog and is served.
        let listener = bind(&config.listen, "listen")?;
        let admin_listener = bind(&admin_listen(&config.admin), "admin")?;
        if let Some(why) = key::exposed(&config.audit.key_file) {
            tracing::warn!("{why}");
        }
        let trail = Trail::open(config.audit.clone(), clock.clone(), metrics.clone());
        let kept = Kept {
            trail,
            deletions: Deletions::new(config.limits.max_deletions),
            metrics: metrics.clone(),
            clock,
        };
        kept.tell(&config);
        let parts = kept.build(&config, None).map_err(GatewayError)?;
        let (drain_timeout, sync_timeout) =
            (config.listen.drain_timeout, config.audit.sync_timeout);
        let settings = config.admin.clone();
        let directory = config.audit.directory.clone();
        let health = Arc::new(Health::new(
            &kept,
            config,
            parts.clone(),
            listener.address(),
        ));
        let view: Arc<dyn admin::View> = health.clone();
        let address = admin_listener.address();
        let pages = Admin::new(&settings, address, view, metrics.clone(), directory)
            .map_err(GatewayError)?;

        let control = Control::start(&health, &kept.trail, &kept.clock);
        let stack = Stack::new(parts);
        let counters = Counters {
            connections: metrics.connections.clone(),
            parser_refusals: metrics.parser_refusals.clone(),
        };
        let handling = Arc::new(stack.clone());
        let server = inbound::serve(listener, counters, move |request, peer| {
            handling.handle(request, peer)
        });
        let admin = inbound::serve(admin_listener, Counters::default(), move |request, _| {
            let pages = pages.clone();
            Box::pin(async move { pages.serve(request).await })
        });
        Ok(Self {
            kept,
            stack,
            health,
            control,
            server,
            admin,
            reloading: tokio::sync::Mutex::new(()),
            drain_timeout,
            sync_timeout,
        })
    }

    /// Where it listens (the real port where the config said 0).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where its admin listener is.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The trail: `demo` and tests wait until it is open.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.kept.trail
    }

    /// Puts another config in force for new requests; those in flight end under the old one.
    ///
    /// # Errors
    /// Where it cannot be; the old one stays in force, and `/readyz?verbose` says why.
    pub async fn reload(&self, config: Config) -> Result<(), GatewayError> {
        let _one_at_a_time = self.reloading.lock().await;
        let replaced = self.replace(config);
        if let Err(error) = &replaced {
            self.refuse_reload(&error.0);
        }
        replaced
    }

    /// Notes that a reload did not come so far as to have a config; the old one stays in force.
    pub fn refuse_reload(&self, why: &str) {
        self.health.reloaded(Some(why.to_owned()));
    }

    /// Drains and stops: at most `[listen] drain_timeout` and one sync.
    pub async fn stop(self) {
        let until = Instant::now() + self.drain_timeout;
        self.health.drain();
        self.server.wind_down();
        let deletions = &self.kept.deletions;
        deletions.drain();
        // While deletions are in flight all else is still served, and new deletions are told `draining`.
        if !ends_within(self.drain_timeout, deletions.finished()).await {
            tracing::warn!("deletions are still in flight: closing them as unknown, drain");
            deletions.abort();
            let closing = self.sync_timeout + CLOSING_MARGIN;
            if !ends_within(closing, deletions.finished()).await {
                tracing::error!(
                    "some deletions could not be closed on record; the next start closes them"
                );
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        self.server.stop(left.max(MIN_GRACE)).await;
        // One that passed the check just before the drain began, and whose caller is gone, ends here.
        let _ = ends_within(self.sync_timeout, deletions.finished()).await;
        self.control.stop().await;
        self.kept.trail.stop().await;
        self.admin.stop(MIN_GRACE).await;
    }

    fn replace(&self, config: Config) -> Result<(), GatewayError> {
        let mut current = self
            .health
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = restart::needed(&current.config, &config) {
            return Err(GatewayError(why));
        }
        let previous = (&current.config, &current.parts);
        let parts = self
            .kept
            .build(&config, Some(previous))
            .map_err(GatewayError)?;
        // On record before it is in force: an intent names the hash of a config that stands before it.
        if config.hash != current.config.hash {
            self.kept.tell(&config);
        }
        self.kept.deletions.set_slots(config.limits.max_deletions);
        self.stack.replace(parts.clone());
        current.config = config;
        current.parts = parts;
        drop(current);
        self.health.reloaded(None);
        Ok(())
    }
}

fn admin_listen(settings: &admin::Settings) -> inbound::Settings {
    inbound::Settings {
        address: settings.address,
        max_connections: MAX_ADMIN_CONNECTIONS,
        head_timeout: ADMIN_HEAD_TIMEOUT,
        drain_timeout: MIN_GRACE,
    }
}

fn bind(settings: &inbound::Settings, table: &str) -> Result<Listener, GatewayError> {
    Listener::bind(settings.clone()).map_err(|error| {
        GatewayError(format!(
            "cannot listen on {} ([{table}] address): {error}; stop what listens there, or name another address",
            settings.address
        ))
    })
}

async fn ends_within(at_most: Duration, ending: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(at_most, ending).await.is_ok()
}

#[cfg(test)]
mod tests;
