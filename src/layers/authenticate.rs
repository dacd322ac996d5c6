//! Verifies the caller's bearer token (RFC 6750 §2.1). This layer comes directly after `route`, so that an
//! unknown caller learns nothing about an account or a user.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::AUTHORIZATION;

use super::route::Routed;
use crate::check::CheckLayer;
use crate::refusal::{Checked, Code, Refusal};
use crate::token::{Denial, Verifier};

/// A request whose caller is known.
#[derive(Debug)]
pub(crate) struct Identified(Routed);

impl Identified {
    /// Returns the request, whose context holds the caller.
    pub(crate) fn routed(&self) -> &Routed {
        &self.0
    }

    /// Returns the request for the next layer.
    pub(crate) fn into_routed(self) -> Routed {
        self.0
    }
}

/// Makes the layer that verifies the caller's token.
pub(crate) fn layer(
    verifier: Arc<Verifier>,
) -> CheckLayer<impl Fn(Routed) -> Checked<Identified> + Clone> {
    CheckLayer(move |routed: Routed| {
        let token = bearer(&routed)?;
        let identity = match verifier.verify(token) {
            Ok(identity) => identity,
            Err(denial) => return with_hint(refusal(&denial), &denial, &verifier).refuse(),
        };
        routed.context().identity.learn(identity);
        Ok(Identified(routed))
    })
}

/// Returns the token from the `Authorization` header. `route` has refused any request with two such headers.
fn bearer(routed: &Routed) -> Checked<&str> {
    let missing = || {
        Refusal::new(
            Code::TokenMissing,
            "Send an access token: Authorization: Bearer TOKEN.",
        )
        .refuse()
    };
    let Some(value) = routed.head().headers.get(AUTHORIZATION) else {
        return missing();
    };
    // Faster than `HeaderValue::to_str`, which checks a token of hundreds of bytes one byte at a time.
    let text = std::str::from_utf8(value.as_bytes());
    let Some(value) = text.ok().filter(|text| text.is_ascii()) else {
        return refusal(&Denial::Malformed("it holds bytes beyond visible ASCII")).refuse();
    };
    let Some((scheme, token)) = value.split_once(' ') else {
        return missing();
    };
    if !scheme.eq_ignore_ascii_case("bearer") {
        return missing();
    }
    Ok(token.trim_start_matches(' '))
}

/// Adds what only the operator's log may say.
fn with_hint(refusal: Refusal, denial: &Denial, verifier: &Verifier) -> Refusal {
    match verifier.operator_hint(denial) {
        Some(hint) => {
            let detail = format!("{} ({hint})", refusal.detail);
            refusal.with_operator_detail(detail)
        }
        None => refusal,
    }
}

fn refusal(denial: &Denial) -> Refusal {
    let (code, detail) = told(denial);
    Refusal::new(code, detail)
}

fn told(denial: &Denial) -> (Code, Cow<'static, str>) {
    match denial {
        Denial::Malformed(why) => (
            Code::TokenMalformed,
            format!(
                "The token is not a JWT in compact form: {why}. \
                 Send the access token as its issuer gave it."
            )
            .into(),
        ),
        Denial::Signature => (
            Code::TokenSignature,
            "The token's signature does not verify with its issuer's key. Fetch a new token.".into(),
        ),
        Denial::Algorithm => (
            Code::TokenAlgorithm,
            "The token is signed with an algorithm that is not allowed for its issuer. \
             Ask the issuer for a token with another one."
                .into(),
        ),
        Denial::KeyUnknown => (
            Code::TokenKeyUnknown,
            "The gateway knows no key of the token's issuer that fits it. After a change of keys, \
             the gateway fetches them. If this lasts, fetch a new token."
                .into(),
        ),
        Denial::Expired => (
            Code::TokenExpired,
            "The token has expired. Fetch a new one.".into(),
        ),
        Denial::NotYetValid => (
            Code::TokenNotYetValid,
            "The token is not valid yet: its nbf or iat lies in the future. If this lasts, \
             the clock of its issuer or of the gateway is wrong."
                .into(),
        ),
        Denial::Issuer => (
            Code::TokenIssuer,
            "The token's issuer is missing or not one that this gateway trusts. \
             Fetch a token from the right one."
                .into(),
        ),
        Denial::Audience => (
            Code::TokenAudience,
            "The token is meant for another audience. Ask its issuer for a token for this gateway."
                .into(),
        ),
        Denial::Type(why) => (
            Code::TokenType,
            format!("This type of token is not accepted: {why}. Send the access token.").into(),
        ),
        Denial::Claims(why) => (
            Code::TokenClaims,
            format!(
                "The token's claims cannot be used: {why}. Ask its issuer for a token without this fault."
            )
            .into(),
        ),
        Denial::Binding => (
            Code::TokenBinding,
            "The token is bound to a key (cnf), which this gateway cannot check. \
             Ask its issuer for an unbound one."
                .into(),
        ),
        Denial::KeysUnavailable(_) => (
            Code::KeysUnavailable,
            "The gateway has not been able to read the keys of the token's issuer.".into(),
        ),
    }
}
