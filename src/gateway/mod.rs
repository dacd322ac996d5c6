//! The gateway: builds every part from a config, starts, reloads, drains and stops.
//!
//! 1. [`parts`] builds the stack's parts; a reload keeps each part whose settings did not change;
//! 2. [`health`] reports to the admin listener;
//! 3. [`restart`] finds config changes that a reload cannot apply;
//! 4. [`reload`] logs a refused reload;
//! 5. [`control`] handles the commands that write to the trail;
//! 6. [`machine`] checks that this machine has what a start needs; `process` finds the process that
//!    holds a port.

mod control;
mod health;
pub mod machine;
mod parts;
mod process;
mod reload;
mod restart;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admin::{self, Admin};
use crate::audit::Trail;
use crate::clock::Clock;
use crate::config::Config;
use crate::inbound::{self, Counters, Left, Listener, Server};
use crate::layers::record::Deletions;
use crate::metrics::{LeftLabels, Metrics};
use crate::stack::Stack;
use control::Control;
pub use control::reconciler;
use health::Health;
use machine::MAX_ADMIN_CONNECTIONS;
use parts::Kept;
pub use reload::ReloadRefused;

/// How long the admin listener waits for a complete head, and keeps an idle connection. This time is
/// short, so that clients that never finish a head cannot hold all connections and block a health probe.
const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// The minimum time for writing answers at a stop, even if the drain time is used up. It is longer than idle
/// connections stay open.
const MIN_GRACE: Duration = Duration::from_secs(4);
/// Aborted deletions have `sync_timeout` plus this time to record their outcomes.
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
    /// Only the reload that runs holds this lock.
    reloading: tokio::sync::Mutex<()>,
    drain_timeout: Duration,
    sync_timeout: Duration,
}

/// Why a gateway did not start, and what the operator can do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GatewayError(pub String);

impl Gateway {
    /// Binds both listeners and starts to serve, even if the trail has a fault. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// If a listener cannot be bound, or keys or TLS roots cannot be read.
    pub async fn start(config: Config, clock: Clock) -> Result<Self, GatewayError> {
        Self::start_with(config, clock, Metrics::new()).await
    }

    /// Same as [`Self::start`], with metrics that the caller shares.
    ///
    /// # Errors
    /// Same as [`Self::start`].
    pub async fn start_with(
        config: Config,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, GatewayError> {
        // Binds the listeners first: from here on, connections wait in the kernel's backlog and are not
        // refused.
        let listener = bind(&config.listen, "listen")?;
        let admin_listener = bind(&admin_listen(&config.admin), "admin")?;
        for warning in machine::warnings(&config) {
            tracing::warn!("{}; {}", warning.message, warning.hint);
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
            left: callers_left(&metrics),
            parser_refusals: metrics.parser_refusals.clone(),
        };
        let handling = Arc::new(stack.clone());
        let server = inbound::serve(listener, counters, move |received, peer| {
            handling.handle(received, peer)
        });
        let admin = inbound::serve(admin_listener, Counters::default(), move |received, _| {
            let pages = pages.clone();
            Box::pin(async move {
                Ok(match received {
                    Ok(request) => pages.serve(request).await,
                    Err(fault) => admin::no_request(&fault),
                })
            })
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

    /// The address of the listener (with the real port if the config has port 0).
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address of the admin listener.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The trail, so that `demo` and tests can wait until it is open.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.kept.trail
    }

    /// Replaces the config for new requests. Requests in flight finish under the old config.
    ///
    /// # Errors
    /// If the new config cannot be applied. The old config stays in force. The log and `/readyz?verbose`
    /// show the reason.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadRefused> {
        let _one_at_a_time = self.reloading.lock().await;
        let replaced = self.replace(config);
        if let Err(refused) = &replaced {
            self.refuse_reload(refused);
        }
        replaced
    }

    /// Logs and records that a reload was refused. The old config stays in force.
    pub fn refuse_reload(&self, refused: &ReloadRefused) {
        refused.log(&self.health.current().config.path);
        self.health.reloaded(Some(refused.to_string()));
    }

    /// Drains for at most `[listen] drain_timeout`. Then aborts the deletions still in flight, records
    /// their outcomes, and stops.
    pub async fn stop(self) {
        let until = Instant::now() + self.drain_timeout;
        self.health.drain();
        self.server.wind_down();
        self.admin.wind_down();
        let deletions = &self.kept.deletions;
        deletions.drain();
        // While deletions are in flight, the gateway still serves other requests and refuses new
        // deletions as `draining`.
        if !ends_within(self.drain_timeout, deletions.finished()).await {
            let open = self.kept.trail.state().open_intents;
            let remedy = "list them with `lychgate audit unresolved --config FILE`; after the next start, and once they are 5 minutes old (or with --now), settle them with `lychgate audit reconcile --config FILE --reason TEXT`, which needs a token for upstream: [credentials] token_file or [audit] reconcile_token_file (docs/operations.md, \"Stop\")";
            tracing::warn!(
                open,
                remedy,
                "deletions are still in flight: recording them as unknown (reason: drain)"
            );
            deletions.abort();
            let closing = self.sync_timeout + CLOSING_MARGIN;
            if !ends_within(closing, deletions.finished()).await {
                tracing::error!(
                    "the outcome of some deletions could not be recorded; the next start records it as unknown"
                );
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        self.server.stop(left.max(MIN_GRACE)).await;
        // Waits for a deletion that passed the check just before the drain and whose caller is gone.
        let _ = ends_within(self.sync_timeout, deletions.finished()).await;
        self.control.stop().await;
        self.kept.trail.stop().await;
        self.admin.stop(MIN_GRACE).await;
    }

    fn replace(&self, config: Config) -> Result<(), ReloadRefused> {
        let mut current = self.health.current();
        if let Some(why) = restart::needed(&current.config, &config) {
            return Err(ReloadRefused::needs_restart(why));
        }
        let previous = (&current.config, &current.parts);
        let parts = self
            .kept
            .build(&config, Some(previous))
            .map_err(ReloadRefused::not_applied)?;
        // The trail gets the new config first, so that it has an entry for each config hash that an
        // intent names.
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

fn callers_left(metrics: &Metrics) -> Left {
    let count = |how| {
        let labels = LeftLabels { how };
        metrics.callers_left.get_or_create(&labels).clone()
    };
    Left {
        closed: count("closed"),
        reset: count("reset"),
    }
}

fn admin_listen(settings: &admin::Settings) -> inbound::Settings {
    inbound::Settings {
        address: settings.address,
        max_connections: MAX_ADMIN_CONNECTIONS,
        head_timeout: ADMIN_HEAD_TIMEOUT,
        idle_timeout: ADMIN_HEAD_TIMEOUT,
        half_close_grace: ADMIN_HEAD_TIMEOUT,
        drain_timeout: MIN_GRACE,
    }
}

fn bind(settings: &inbound::Settings, table: &str) -> Result<Listener, GatewayError> {
    Listener::bind(settings.clone()).map_err(|error| {
        let (message, hint) = machine::cannot_listen(table, settings.address, &error);
        GatewayError(format!("{message}; {hint}"))
    })
}

async fn ends_within(at_most: Duration, ending: impl Future<Output = ()>) -> bool {
    tokio::time::timeout(at_most, ending).await.is_ok()
}

#[cfg(test)]
mod tests;
