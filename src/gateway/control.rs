//! The gateway's end of the control socket: bound while the trail's lock is held, served from what is
//! in force at the time; and what is read back at the start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::health::{Current, Health};
use crate::audit::Trail;
use crate::audit::entry::Actor;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::protocol::Reconcile;
use crate::control::server::Server;
use crate::control::{Answer, Request};
use crate::domain::Directory;
use crate::fetch::Fetch;
use crate::reconcile::{LEAST_AGE, Reconciler};
use crate::tls::ClientTls;

/// After a socket that could not be bound.
const BIND_AGAIN: Duration = Duration::from_secs(5);
/// When the lock is given back, what is being answered has so long to end.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// How often it is looked whether an unknown is old enough.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What runs beside the listeners.
#[derive(Debug)]
pub(super) struct Control {
    socket: AbortOnDropHandle<()>,
    at_start: Option<AbortOnDropHandle<()>>,
}

/// What both ends of a command stand on.
#[derive(Clone, Debug)]
struct Office {
    health: Arc<Health>,
    trail: Trail,
    clock: Clock,
    /// One command that writes at a time: the next one sees what it wrote.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Control {
    /// Starts it all; must be called within a tokio runtime.
    pub(super) fn start(health: &Arc<Health>, trail: &Trail, clock: &Clock) -> Self {
        let office = Office {
            health: Arc::clone(health),
            trail: trail.clone(),
            clock: clock.clone(),
            writing: Arc::default(),
        };
        let (directory, on_start) = {
            let current = office.current();
            let config = &current.config;
            (config.audit.directory.clone(), config.reconcile.on_start)
        };
        let begin = || AbortOnDropHandle::new(tokio::spawn(office.clone().reconcile_at_start()));
        Self {
            at_start: on_start.then(begin),
            socket: AbortOnDropHandle::new(tokio::spawn(office.serve(directory))),
        }
    }

    /// Ends what is under way and removes the socket.
    pub(super) async fn stop(self) {
        for task in [Some(self.socket), self.at_start].into_iter().flatten() {
            task.abort();
            // Ended by abort, which is what was asked for.
            let _ = task.await;
        }
    }
}

impl Office {
    /// Keeps the socket as long as the trail's lock is held, in the folder that is held.
    async fn serve(self, directory: PathBuf) {
        let mut holding = self.trail.holding();
        // An error: the trail is gone with the gateway.
        while let Ok(held) = holding.wait_for(Option::is_some).await.map(|held| *held) {
            let answering = self.clone();
            let handle = move |actor, request| answering.clone().answer(actor, request);
            match Server::start(&directory, handle) {
                Ok(server) => {
                    let _ = holding.wait_for(|now| *now != held).await;
                    // Commands under way still wait for their answers.
                    server.finish(LAST_ANSWERS).await;
                }
                Err(error) => {
                    tracing::warn!("commands that write cannot ask this gateway: {error}");
                    tokio::time::sleep(BIND_AGAIN).await;
                }
            }
        }
    }

    async fn answer(self, actor: Actor, request: Request) -> Answer {
        tracing::info!(uid = actor.uid, "a command asks over the control socket");
        let _one_at_a_time = self.writing.lock().await;
        let Request::Reconcile(request) = request;
        match self.reconciler() {
            Ok(reconciler) => reconciler.answer(actor, request).await,
            Err(message) => Answer::Refused { exit: 74, message },
        }
    }

    fn reconciler(&self) -> Result<Reconciler, String> {
        reconciler(&self.current().config, &self.trail, &self.clock)
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        let current = self.health.current.lock();
        current.unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads back what is unresolved now, each once it is old enough.
    async fn reconcile_at_start(self) {
        self.trail.opened().await;
        let unresolved = match self.reconciler() {
            Ok(reconciler) => reconciler.unresolved().await,
            Err(why) => Err(why),
        };
        let mut waiting = match unresolved {
            Ok(unresolved) => unresolved,
            Err(why) => {
                tracing::warn!("nothing is read back at this start: {why}");
                return;
            }
        };
        waiting.sort_by_key(|pending| pending.closed);
        for pending in waiting {
            let age = |now: i64| now.saturating_sub(pending.closed.micros());
            let least = i64::try_from(LEAST_AGE.as_micros()).unwrap_or(i64::MAX);
            while age(self.clock.now().micros()) < least {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let request = Request::Reconcile(Reconcile {
                reason: "[audit] reconcile = \"on_start\"".into(),
                now: false,
                deletions: vec![pending.deletion.index.to_string()],
                after: None,
            });
            let actor = Actor {
                uid: rustix::process::geteuid().as_raw(),
            };
            match self.clone().answer(actor, request).await {
                Answer::Refused { message, .. } => tracing::warn!("not read back: {message}"),
                Answer::Reconciled(done) => {
                    for why in done.deletions.iter().filter_map(|d| d.why.as_ref()) {
                        tracing::warn!(index = pending.deletion.index, "not read back: {why}");
                    }
                }
            }
        }
    }
}

/// What reads users back under this config; a token file is read at each use.
///
/// # Errors
/// Where the roots of TLS cannot be read.
pub fn reconciler(config: &Config, trail: &Trail, clock: &Clock) -> Result<Reconciler, String> {
    let tls = ClientTls::new(config.outbound.roots_file.as_deref())?;
    Ok(Reconciler {
        trail: trail.clone(),
        directory: config.audit.directory.clone(),
        contracts: Arc::clone(&config.contracts),
        domains: Arc::new(Directory::new(&config.domains)),
        fetch: Fetch::new(tls),
        token_file: config.reconcile_token_file().map(Path::to_owned),
        clock: clock.clone(),
    })
}

#[cfg(test)]
mod tests;
