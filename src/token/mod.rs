//! Authentication: JSON Web Tokens, their keys, and the cache of verified tokens.
//!
//! In the order of the checks:
//!
//! 1. [`verifier`] asks the cache, runs the other checks and returns the reason of a denial
//!    (`denial`);
//! 2. `compact` splits the token and checks its header with the strict JSON reader of `json`;
//! 3. `keys` holds each issuer's key set and keeps the set up to date; `key_set` and `jwk` parse
//!    the set;
//! 4. `claims` and `date` judge the claims of a correctly signed token.
//!
//! [`mint`] makes tokens for demos and tests. Lychgate does not yet support discovery,
//! introspection or revocation. Discovery would belong beside `keys`; the other two checks would
//! follow `claims`.

mod algorithm;
mod cache;
mod claims;
mod compact;
mod date;
mod denial;
mod edwards;
pub(crate) mod identity;
mod json;
mod jwk;
mod key_set;
mod keys;
pub mod mint;
pub(crate) mod verifier;

pub use algorithm::Algorithm;
pub use denial::Denial;
pub use identity::{Accounts, Identity, Scopes};
pub use verifier::Verifier;

use std::path::PathBuf;
use std::time::Duration;

use crate::fetch::Fetch;

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file. A background task reads the file again when it changes.
    File(PathBuf),
    /// The URL of a JWK set. A background task fetches it at the start and then at regular intervals.
    Url(String),
}

/// The trust settings of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// The required value of `iss`, compared byte for byte.
    pub issuer: String,
    /// The accepted audiences, never empty. `aud` must contain at least one of them.
    pub audience: Vec<String>,
    /// The allowed algorithms; never empty.
    pub algorithms: Vec<Algorithm>,
    /// The source of the issuer's keys.
    pub keys: KeySource,
    /// The claim that lists the accounts that the caller may access.
    pub accounts_claim: String,
    /// The claim that lists the scopes.
    pub scopes_claim: String,
    /// The claim that names the client. If a token lacks this claim, `azp` names the client.
    pub client_claim: String,
    /// The tolerated clock difference for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
}

impl IssuerSettings {
    /// Reads this issuer's keys once, from the file or the URL, only to check them.
    ///
    /// # Errors
    /// Returns the reason if there is no usable key. The text names the source, without the query
    /// of a URL.
    pub(crate) async fn read_keys(&self, fetch: &Fetch) -> Result<(), String> {
        keys::read_once(&self.issuer, &self.keys, fetch).await
    }
}
