//! The embedded Users API, Domain API and token issuer of `lychgate demo` and of the tests.
//!
//! They are real servers on loopback ports, so a caller reaches them through the whole gateway.
//! [`server`] reads and keeps requests, [`users`] is the stateful Users API over its [`store`],
//! [`domains`] says which host serves an account, [`issuer`] signs tokens and publishes its key.
//! All sizes have limits, and dropping the [`Simulator`] stops everything.

pub(crate) mod domains;
pub(crate) mod issuer;
pub mod server;
pub(crate) mod store;
pub(crate) mod users;

use std::net::SocketAddr;
use std::sync::Arc;

use issuer::Issuer;
use server::{Seen, Server};
use store::Store;

/// The settings of the simulator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Each account and the number of its first users, whose ids count up from [`store::FIRST_ID`].
    pub accounts: Vec<(String, u64)>,
    /// The status for a stale `If-Match`: 409 or 412.
    pub conflict_status: u16,
}

/// All three servers; dropping it closes them.
#[derive(Debug)]
pub struct Simulator {
    users: Server,
    domains: Server,
    issuer_server: Server,
    store: Arc<Store>,
    issuer: Arc<Issuer>,
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// No loopback port is available.
    #[error("no port on 127.0.0.1 for the simulator: {0}")]
    Port(#[from] std::io::Error),
    /// The issuer's key cannot be generated.
    #[error("no signing key for the simulator's issuer: {0}")]
    Key(#[from] crate::token::mint::MintError),
}

impl Simulator {
    /// Binds three loopback ports and serves. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// If no port is available or the issuer's key cannot be generated.
    pub async fn start(settings: &Settings) -> Result<Self, SimulatorError> {
        let store = Arc::new(Store::new(&settings.accounts));
        let issuer = Arc::new(Issuer::new()?);
        let (answering, conflict) = (Arc::clone(&store), settings.conflict_status);
        let users = Server::start(move |seen| users::answer(&answering, conflict, seen)).await?;
        let accounts: Vec<String> = settings.accounts.iter().map(|(a, _)| a.clone()).collect();
        let base = users.address().to_string();
        let domains = Server::start(move |seen| domains::answer(&accounts, &base, seen)).await?;
        let publishing = Arc::clone(&issuer);
        let issuer_server = Server::start(move |seen| publishing.answer(seen)).await?;
        Ok(Self {
            users,
            domains,
            issuer_server,
            store,
            issuer,
        })
    }

    /// The address of the Users API.
    #[must_use]
    pub fn users_address(&self) -> SocketAddr {
        self.users.address()
    }

    /// The address of the Domain API.
    #[must_use]
    pub fn domains_address(&self) -> SocketAddr {
        self.domains.address()
    }

    /// The URL of the issuer's key set.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("http://{}/jwks.json", self.issuer_server.address())
    }

    /// The users and their revisions.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Signs tokens.
    #[must_use]
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The requests that reached the Users API, oldest first; at most [`server::MAX_SEEN`].
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.users.seen()
    }

    /// How many requests reached the Users API in total.
    #[must_use]
    pub fn seen_count(&self) -> u64 {
        self.users.seen_count()
    }
}
