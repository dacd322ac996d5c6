//! The config in force and the health of every part. A reload replaces the config; the admin listener
//! reads both.

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::parts::Kept;
use crate::admin::{Part, Reload, Report, View};
use crate::audit::status::availability::UNWATCHED_REMEDY;
use crate::audit::status::space;
use crate::audit::{State, Trail};
use crate::clock::{Clock, Time};
use crate::config::Config;
use crate::metrics::{Metrics, ReloadLabels};
use crate::stack::Parts;

/// The state of a gateway that is stopping.
const DRAINING: &str = "draining";

/// The config in force and the parts made from it; a reload replaces both.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) config: Config,
    pub(super) parts: Parts,
}

/// The gateway as the admin listener sees it.
#[derive(Debug)]
pub(super) struct Health {
    current: Mutex<Current>,
    trail: Trail,
    metrics: Metrics,
    clock: Clock,
    started: Time,
    address: SocketAddr,
    draining: OnceLock<Time>,
    pub(super) last_reload: Mutex<Option<Reload>>,
}

impl Health {
    /// `address` is the listener's bound address: it has the real port even if the config says port 0.
    pub(super) fn new(kept: &Kept, config: Config, parts: Parts, address: SocketAddr) -> Self {
        Self {
            current: Mutex::new(Current { config, parts }),
            trail: kept.trail.clone(),
            metrics: kept.metrics.clone(),
            clock: kept.clock.clone(),
            started: kept.clock.now(),
            address,
            draining: OnceLock::new(),
            last_reload: Mutex::default(),
        }
    }

    pub(super) fn current(&self) -> MutexGuard<'_, Current> {
        lock(&self.current)
    }

    /// Makes the gateway not ready from now on.
    pub(super) fn drain(&self) {
        self.draining.get_or_init(|| self.clock.now());
    }

    /// Notes the result of a reload. `refused` is the reason if the reload was refused.
    pub(super) fn reloaded(&self, refused: Option<String>) {
        let result = match refused {
            None => "in-force",
            Some(_) => "refused",
        };
        let labels = ReloadLabels { result };
        self.metrics.reloads.get_or_create(&labels).inc();
        let time = self.clock.now();
        *lock(&self.last_reload) = Some(Reload { time, refused });
    }

    /// The health of the issuers' keys, and of each origin to which requests fail.
    fn network(&self) -> Vec<Part> {
        let current = self.current();
        let keys = current.parts.verifier.health().into_iter();
        let keys = keys.map(|(issuer, trouble)| Part {
            name: format!("keys {issuer}"),
            trouble,
        });
        let failing = current.parts.client.troubles().into_iter();
        let failing = failing.map(|(origin, present)| Part {
            name: format!("upstream {origin}"),
            trouble: Some((present.detail, present.since)),
        });
        keys.chain(failing).collect()
    }
}

impl View for Health {
    fn report(&self) -> Report {
        let now = self.clock.now();
        let draining = self.draining.get();
        let trail = self.trail.state();
        let reads = match draining {
            Some(_) => Err(DRAINING.to_owned()),
            None => Ok(()),
        };
        let deletions = match trail_trouble(&trail) {
            Some(trouble) if draining.is_none() => Err(trouble),
            _ => reads.clone(),
        };
        let mut parts = vec![Part {
            name: format!("listener {}", self.address),
            trouble: draining.map(|since| (DRAINING.to_owned(), *since)),
        }];
        parts.extend(self.network());
        parts.push(Part {
            name: "trail".into(),
            trouble: trail_trouble(&trail).map(|trouble| (trouble, trail.since)),
        });
        let unwatched = trail.unwatched.clone();
        parts.push(Part {
            name: "seen file".into(),
            trouble: unwatched.map(|(why, since)| (format!("{why}; {UNWATCHED_REMEDY}"), since)),
        });
        parts.push(Part {
            name: "trail's disk".into(),
            trouble: space_trouble(&trail),
        });
        Report {
            reads,
            deletions,
            parts,
            started: self.started,
            now,
            config: self.current().config.hash.clone(),
            reload: lock(&self.last_reload).clone(),
            trail,
        }
    }
}

fn trail_trouble(state: &State) -> Option<String> {
    let closed = state.closed.as_ref()?;
    let (cause, remedy) = (closed.cause, closed.cause.remedy());
    Some(format!("{}: {}; {remedy}", cause.as_str(), closed.detail))
}

fn space_trouble(trail: &State) -> Option<(String, Time)> {
    let space = trail.space;
    let Some(free) = space.free_bytes else {
        return Some(("not measured yet".into(), trail.since));
    };
    let below = space.key()?;
    let what = format!(
        "{free} bytes are free, less than `{below}`; {}",
        space::REMEDY
    );
    Some((what, Time(space.since)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
