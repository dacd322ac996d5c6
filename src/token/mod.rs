//! Who is calling: JSON Web Tokens, their keys, and the cache of verified ones.

use std::path::PathBuf;
use std::time::Duration;

/// A signature algorithm of RFC 7518 or RFC 8037 that may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    EdDSA,
}

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
