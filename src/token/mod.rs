//! Who is calling: JSON Web Tokens, their keys, and the cache of verified ones.
//!
//! In the order in which a token is judged:
//!
//! 1. [`verifier`] asks the cache, then goes through the rest and says why not (`denial`);
//! 2. `compact` takes the token apart and judges its header, by `json`, which reads strictly;
//! 3. `keys` holds each issuer's key set and keeps it fresh; `key_set` and `jwk` read it;
//! 4. `claims` and `date` judge what a token says once its signature is right.
//!
//! [`mint`] makes tokens for demos and tests. Introspection, discovery and revocation have their
//! place beside `keys` and behind `claims`.

mod algorithm;
mod cache;
mod claims;
mod compact;
mod date;
mod denial;
mod edwards;
pub mod identity;
mod json;
mod jwk;
mod key_set;
mod keys;
pub mod mint;
pub mod verifier;

pub use algorithm::Algorithm;
pub use denial::Denial;
pub use identity::{Accounts, Identity};
pub use verifier::{Verifier, VerifierError};

use std::path::PathBuf;
use std::time::Duration;

/// Where an issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A JWK set in a file, read again when it changes.
    File(PathBuf),
    /// A JWK set fetched at start and in the background.
    Url(String),
}

/// What is trusted of one issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerSettings {
    /// `iss`, compared byte for byte.
    pub issuer: String,
    /// `aud` must hold one of these; never empty.
    pub audience: Vec<String>,
    /// The algorithms allowed; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Its keys.
    pub keys: KeySource,
    /// The claim with the accounts the caller may touch.
    pub accounts_claim: String,
    /// The claim with the scopes.
    pub scopes_claim: String,
    /// The claim with the client; where absent, `azp`.
    pub client_claim: String,
    /// Allowance for clocks that differ, for `exp`, `nbf` and `iat`.
    pub leeway: Duration,
}
