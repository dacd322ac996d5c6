//! The token issuer: it has one ES256 key, publishes the public half at `/jwks.json` and signs
//! tokens.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::server::{Seen, error, json as answer_json};
use crate::clock::Time;
use crate::token::Algorithm;
use crate::token::mint::{Key, MintError, mint};

/// `iss` of every token.
pub(crate) const ISSUER: &str = "https://issuer.simulator.test/";
/// `aud` of every token.
pub(crate) const AUDIENCE: &str = "lychgate";

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// `sub`.
    pub subject: String,
    /// `client_id`.
    pub client: String,
    /// `accounts`.
    pub accounts: Vec<String>,
    /// `scope`.
    pub scopes: Vec<String>,
    /// From `iat` to `exp`.
    pub lifetime: Duration,
}

/// Signs tokens and publishes the key that verifies them.
#[derive(Debug)]
pub struct Issuer {
    key: Key,
}

impl Issuer {
    /// An issuer with a new key.
    ///
    /// # Errors
    /// If the key cannot be generated.
    pub fn new() -> Result<Self, MintError> {
        let key = Key::generate(Algorithm::ES256)?;
        Ok(Self { key })
    }

    /// Signs a token.
    ///
    /// # Errors
    /// If the token cannot be signed.
    pub fn mint(&self, grant: &Grant, now: Time) -> Result<String, MintError> {
        let lifetime = i64::try_from(grant.lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = json!({
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": grant.subject,
            "client_id": grant.client,
            "accounts": grant.accounts,
            "scope": grant.scopes.join(" "),
            "iat": now.seconds(),
            "exp": now.seconds().saturating_add(lifetime),
        });
        mint(&self.key, &claims)
    }

    /// The JWK set with the public key (RFC 7517).
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": [self.key.public_jwk()]})
    }

    /// The private key, for the key file (mode 0600) of `lychgate token mint`.
    ///
    /// # Errors
    /// If the crypto library cannot encode the key.
    pub fn private_pem(&self) -> Result<Zeroizing<String>, MintError> {
        self.key.private_pem()
    }

    /// Answers one request.
    pub(super) fn answer(&self, seen: &Seen) -> Response<Bytes> {
        match (seen.method.as_str(), seen.path()) {
            ("GET", "/jwks.json") => answer_json(StatusCode::OK, &self.jwks()),
            _ => error(StatusCode::NOT_FOUND, 10, "No such resource"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    #[test]
    fn a_minted_token_verifies_with_the_published_key() {
        let issuer = Issuer::new().unwrap();
        let grant = Grant {
            subject: "ada".to_owned(),
            client: "console".to_owned(),
            accounts: vec!["1".to_owned()],
            scopes: vec!["users.read".to_owned(), "users.delete".to_owned()],
            lifetime: Duration::from_secs(60),
        };
        let now = crate::clock::Clock::system().now();
        let token = issuer.mint(&grant, now).unwrap();
        let key = serde_json::from_value(issuer.jwks()["keys"][0].clone()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let key = DecodingKey::from_jwk(&key).unwrap();
        let claims = decode::<Value>(&token, &key, &validation).unwrap().claims;
        assert_eq!(claims["scope"], "users.read users.delete");
        assert_eq!(claims["exp"], now.seconds() + 60);
    }

    #[test]
    fn p8_debug_output_and_jwks_hold_no_private_key() {
        let issuer = Issuer::new().unwrap();
        let pem = issuer.private_pem().unwrap();
        let secret = pem.lines().nth(1).unwrap();
        assert!(!format!("{issuer:?}").contains(secret));
        assert!(issuer.jwks()["keys"][0].get("d").is_none());
    }
}
