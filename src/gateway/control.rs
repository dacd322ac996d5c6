//! The gateway's end of the control socket. Also reads back the unresolved deletions when the gateway
//! starts.
//!
//! The socket exists while the gateway holds the trail's lock. Each command runs under the config that
//! is in force when the command begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::health::Health;
use crate::audit::Trail;
use crate::audit::entry::Actor;
use crate::clock::Clock;
use crate::config::Config;
use crate::control::protocol::{Reconcile, Settled};
use crate::control::server::{LINE_TIMEOUT, Server};
use crate::control::{Answer, Request};
use crate::fetch::Fetch;
use crate::reconcile::{LEAST_AGE, Reconciler};
use crate::tls::ClientTls;

/// The pause after a failed try to bind the socket.
const BIND_AGAIN: Duration = Duration::from_secs(5);
/// How long open commands may take when the gateway releases the lock.
const LAST_ANSWERS: Duration = Duration::from_secs(30);
/// The pause between two checks whether a deletion is old enough to be read back.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The tasks that serve the control socket, and read back deletions when the gateway starts.
#[derive(Debug)]
pub(super) struct Control {
    socket: AbortOnDropHandle<()>,
    at_start: Option<AbortOnDropHandle<()>>,
}

/// Handles commands from the control socket, and reads back deletions when the gateway starts.
#[derive(Clone, Debug)]
struct ControlHandler {
    health: Arc<Health>,
    trail: Trail,
    clock: Clock,
    /// Only one command at a time holds this lock, so that each command sees the entries of the command
    /// before.
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl Control {
    /// Starts the tasks; must be called within a tokio runtime.
    pub(super) fn start(health: &Arc<Health>, trail: &Trail, clock: &Clock) -> Self {
        let handler = ControlHandler {
            health: Arc::clone(health),
            trail: trail.clone(),
            clock: clock.clone(),
            writing: Arc::default(),
        };
        let (directory, on_start) = {
            let current = handler.health.current();
            let config = &current.config;
            (config.audit.directory.clone(), config.reconcile.on_start)
        };
        let begin = || AbortOnDropHandle::new(tokio::spawn(handler.clone().reconcile_at_start()));
        Self {
            at_start: on_start.then(begin),
            socket: AbortOnDropHandle::new(tokio::spawn(handler.serve(directory))),
        }
    }

    /// Cancels open commands and removes the socket.
    pub(super) async fn stop(self) {
        for task in [Some(self.socket), self.at_start].into_iter().flatten() {
            task.abort();
            // An error here only means that the task was aborted.
            let _ = task.await;
        }
    }
}

impl ControlHandler {
    /// Keeps the socket in the audit folder as long as the gateway holds the trail's lock.
    async fn serve(self, directory: PathBuf) {
        let mut holding = self.trail.holding();
        // An error means that the trail has stopped.
        while let Ok(held) = holding.wait_for(Option::is_some).await.map(|held| *held) {
            let answering = self.clone();
            let handle = move |actor, request| answering.clone().answer(actor, request);
            match Server::start(&directory, LINE_TIMEOUT, handle) {
                Ok(server) => {
                    let _ = holding.wait_for(|now| *now != held).await;
                    // Open commands still wait for their answers, so they get time to finish.
                    server.finish(LAST_ANSWERS).await;
                }
                Err(error) => {
                    tracing::warn!(
                        "cannot bind the control socket, so commands that write cannot reach this gateway: {error}"
                    );
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
        reconciler(&self.health.current().config, &self.trail, &self.clock)
    }

    /// Reads back the deletions that are unresolved at the start, each as soon as it is old enough.
    async fn reconcile_at_start(self) {
        self.trail.opened().await;
        let unresolved = match self.reconciler() {
            Ok(reconciler) => reconciler.unresolved().await,
            Err(why) => Err(why),
        };
        let mut waiting = match unresolved {
            Ok(unresolved) => unresolved,
            Err(why) => {
                tracing::warn!("no deletion is read back at this start: {why}");
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
                    for note in done.deletions.iter().filter_map(Settled::note) {
                        tracing::warn!("{note}");
                    }
                }
            }
        }
    }
}

/// Builds the reconciler for this config. The reconciler reads the token file at each use.
///
/// # Errors
/// If the TLS roots cannot be read.
pub fn reconciler(config: &Config, trail: &Trail, clock: &Clock) -> Result<Reconciler, String> {
    let tls = ClientTls::new(config.outbound.roots_file.as_deref())?;
    Ok(Reconciler {
        trail: trail.clone(),
        directory: config.audit.directory.clone(),
        contracts: Arc::clone(&config.contracts),
        domains: Arc::clone(&config.domains),
        fetch: Fetch::new(tls),
        token_file: config.reconcile_token_file().map(Path::to_owned),
        clock: clock.clone(),
    })
}

#[cfg(test)]
mod tests;
