//! Reads the claims of a token and checks that the token is for this gateway.

use super::date::Window;
use std::ops::RangeBounds;

use serde_json::Value;

use super::json::Object;
use super::{Accounts, Denial, Identity, IssuerSettings};

/// The maximum length of a `jti` in bytes.
const MAX_TOKEN_ID_BYTES: usize = 256;

/// The caller and the validity window of the token, before the check against the clock.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) identity: Identity,
    pub(super) window: Window,
}

/// The issuer that an unverified token names; `None` if `iss` is not a string.
pub(super) fn issuer(claims: &Object) -> Option<&str> {
    claims.get("iss")?.as_str()
}

/// Judges the claims of a correctly signed token in this order: binding, numeric dates, `sub`,
/// accounts, scopes, client, `jti`, the form of `aud`, and last the audience.
pub(super) fn judge(
    claims: &Object,
    settings: &IssuerSettings,
    signing_input: &str,
) -> Result<Judged, Denial> {
    if claims.contains_key("cnf") {
        return Err(Denial::Binding);
    }
    let window = Window::read(claims, settings.leeway)?;
    let identity = Identity {
        issuer: settings.issuer.clone(),
        subject: subject(claims)?,
        accounts: accounts(claims, &settings.accounts_claim)?,
        scopes: scopes(claims, &settings.scopes_claim)?,
        client: client(claims, &settings.client_claim)?,
        token_id: token_id(claims, signing_input)?,
    };
    audience(claims, &settings.audience)?;
    Ok(Judged { identity, window })
}

fn subject(claims: &Object) -> Result<String, Denial> {
    let subject = claims.get("sub");
    let subject = subject.ok_or(Denial::Claims("the token has no `sub`"))?;
    let wrong = "`sub` is not a string without control characters";
    text(subject, 1.., wrong)
}

/// If the claim is absent, the caller may access no account.
fn accounts(claims: &Object, name: &str) -> Result<Accounts, Denial> {
    let mut these = strings(claims, name).ok_or(Denial::Claims(
        "the accounts claim is neither a string nor a list of strings",
    ))?;
    if these.iter().any(|one| one == "*") {
        return Ok(Accounts::All);
    }
    these.sort_unstable();
    these.dedup();
    Ok(Accounts::These(these))
}

fn scopes(claims: &Object, name: &str) -> Result<Vec<String>, Denial> {
    let listed = strings(claims, name).ok_or(Denial::Claims(
        "the scopes claim is neither a string nor a list of strings",
    ))?;
    let mut scopes: Vec<String> = match claims.get(name) {
        Some(Value::String(text)) => text
            .split(' ')
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .collect(),
        _ => listed,
    };
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

fn client(claims: &Object, name: &str) -> Result<Option<String>, Denial> {
    let client = claims.get(name).or_else(|| claims.get("azp"));
    let wrong = "the client claim is not a string without control characters";
    client.map(|client| text(client, .., wrong)).transpose()
}

/// `jti`; without one, a digest that both encodings of an ECDSA signature share.
fn token_id(claims: &Object, signing_input: &str) -> Result<String, Denial> {
    let wrong = "`jti` is not a string of 1 to 256 bytes without control characters";
    match claims.get("jti") {
        None => Ok(sha256_hex(signing_input.as_bytes())),
        Some(id) => text(id, 1..=MAX_TOKEN_ID_BYTES, wrong),
    }
}

fn audience(claims: &Object, allowed: &[String]) -> Result<(), Denial> {
    let named = strings(claims, "aud").ok_or(Denial::Claims(
        "`aud` is neither a string nor a list of strings",
    ))?;
    if named.iter().any(|one| allowed.contains(one)) {
        Ok(())
    } else {
        Err(Denial::Audience)
    }
}

/// A string or a list of strings without control characters. Returns an empty list if the claim is
/// absent.
fn strings(claims: &Object, name: &str) -> Option<Vec<String>> {
    match claims.get(name) {
        None => Some(Vec::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| clean(one).map(str::to_owned))
            .collect(),
        Some(one) => clean(one).map(|one| vec![one.to_owned()]),
    }
}

/// A clean string of this many bytes.
fn text(
    value: &Value,
    bytes: impl RangeBounds<usize>,
    wrong: &'static str,
) -> Result<String, Denial> {
    let text = clean(value).filter(|text| bytes.contains(&text.len()));
    text.map(str::to_owned).ok_or(Denial::Claims(wrong))
}

/// A string that is safe to log and to compare.
fn clean(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.chars().any(char::is_control))
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
