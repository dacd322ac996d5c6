//! The embedded Users API, Domain API and token issuer of `lychgate demo` and of the tests.
//!
//! All three are real servers on loopback ports, so a caller reaches them through the whole
//! gateway. [`server`] reads requests, [`users`] is the stateful Users API, [`domains`] names the
//! host that serves an account, and [`issuer`] publishes the key that verifies tokens. All sizes
//! have limits, and dropping the [`Simulator`] stops everything.

mod domains;
pub(crate) mod issuer;
pub mod server;
pub(crate) mod users;

use std::sync::Arc;

use crate::token::Algorithm;
use crate::token::mint::{Key, MintError};
use server::Server;
use users::Store;

/// The three servers. Dropping the value stops them.
#[derive(Debug)]
pub(crate) struct Simulator {
    pub(crate) users: Server,
    pub(crate) store: Arc<Store>,
    /// The private key that signs the issuer's tokens.
    pub(crate) key: Key,
    issuer: Server,
    _domains: Server,
}

/// Why the simulator did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SimulatorError {
    #[error("no port on 127.0.0.1 for the simulator: {0}")]
    Port(#[from] std::io::Error),
    #[error("no signing key for the simulator's issuer: {0}")]
    Key(#[from] MintError),
}

impl Simulator {
    /// Binds three loopback ports and serves. The caller must be within a tokio runtime. `accounts`
    /// names each account and the number of users that the account has at the start.
    pub(crate) async fn start(accounts: &[(&str, u64)]) -> Result<Self, SimulatorError> {
        let store = Arc::new(Store::new(accounts));
        let answering = Arc::clone(&store);
        let users = Server::start(move |request| users::answer(&answering, request)).await?;
        let names: Vec<String> = accounts.iter().map(|(name, _)| name.to_string()).collect();
        let base = users.address().to_string();
        let domains = Server::start(move |request| domains::answer(&names, &base, request)).await?;
        let key = Key::generate(Algorithm::ES256)?;
        let jwks = issuer::jwks(&key);
        let issuer = Server::start(move |request| issuer::answer(&jwks, request)).await?;
        Ok(Self {
            users,
            store,
            key,
            issuer,
            _domains: domains,
        })
    }

    /// The URL of the issuer's key set.
    pub(crate) fn jwks_url(&self) -> String {
        format!("http://{}/jwks.json", self.issuer.address())
    }
}
