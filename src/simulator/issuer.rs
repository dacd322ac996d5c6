//! The token issuer: publishes the public half of its key at `/jwks.json`.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use super::server::{NO_RESOURCE, error, json as answer_json};
use crate::token::mint::Key;

/// The `iss` of every token.
pub(crate) const ISSUER: &str = "https://issuer.simulator.test/";
/// The `aud` of every token.
pub(crate) const AUDIENCE: &str = "lychgate";

/// The JWK set with the public key (RFC 7517).
pub(super) fn jwks(key: &Key) -> Value {
    json!({"keys": [key.public_jwk()]})
}

pub(super) fn answer(jwks: &Value, request: &Request<Bytes>) -> Response<Bytes> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/jwks.json") => answer_json(StatusCode::OK, jwks),
        _ => error(NO_RESOURCE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Algorithm;
    use crate::token::mint::mint;
    use jsonwebtoken::{DecodingKey, Validation, decode};

    #[test]
    fn a_minted_token_verifies_with_the_published_key() {
        let key = Key::generate(Algorithm::ES256).unwrap();
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "exp": 4_000_000_000_u64});
        let token = mint(&key, &claims).unwrap();
        let response = answer(
            &jwks(&key),
            &Request::get("/jwks.json").body(Bytes::new()).unwrap(),
        );
        let published: Value = serde_json::from_slice(response.body()).unwrap();
        let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let jwk = serde_json::from_value(published["keys"][0].clone()).unwrap();
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        assert_eq!(
            decode::<Value>(&token, &key, &validation).unwrap().claims,
            claims
        );
    }

    #[test]
    fn p8_debug_output_and_jwks_hold_no_private_key() {
        let key = Key::generate(Algorithm::ES256).unwrap();
        let pem = key.private_pem().unwrap();
        let secret = pem.lines().nth(1).unwrap();
        assert!(!format!("{key:?}").contains(secret));
        assert!(jwks(&key)["keys"][0].get("d").is_none());
    }
}
