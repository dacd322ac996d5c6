//! Reads the claims of a token and checks that the token is for this gateway.

use super::date::Window;
use std::borrow::Cow;
use std::ops::RangeBounds;

use serde_json::Value;

use super::json::Object;
use super::{Accounts, Denial, Identity, IssuerSettings, Scopes};

/// The maximum length of a `jti` in bytes.
const MAX_TOKEN_ID_BYTES: usize = 256;

/// The caller and the validity window that a token states. The window is not yet checked against
/// the clock.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) identity: Identity,
    pub(super) window: Window,
}

/// The issuer that an unverified token names; `None` if `iss` is absent or not a string.
pub(super) fn issuer(claims: &Object) -> Option<&str> {
    claims.get("iss")?.as_str()
}

/// Judges the claims of a correctly signed token in this order: binding (`cnf`), numeric dates,
/// `sub`, accounts, scopes, client, `jti`, the form of `aud`, and last the audience.
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
    let subject = subject.ok_or(Denial::Claims("the token has no `sub`".into()))?;
    let wrong = "`sub` is not a string without control characters";
    text(subject, 1.., || wrong.into())
}

/// Reads the accounts claim. Without this claim, the caller may access no account.
fn accounts(claims: &Object, name: &str) -> Result<Accounts, Denial> {
    let Some(mut these) = strings(claims, name)? else {
        return Ok(Accounts::Missing(name.to_owned()));
    };
    if these.iter().any(|one| one == "*") {
        return Ok(Accounts::All);
    }
    these.sort_unstable();
    these.dedup();
    Ok(Accounts::These(these))
}

fn scopes(claims: &Object, name: &str) -> Result<Scopes, Denial> {
    let Some(listed) = strings(claims, name)? else {
        return Ok(Scopes::Missing(name.to_owned()));
    };
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
    Ok(Scopes::These(scopes))
}

fn client(claims: &Object, name: &str) -> Result<Option<String>, Denial> {
    let named = claims.get(name).map(|client| (name, client));
    let client = named.or_else(|| Some(("azp", claims.get("azp")?)));
    let wrong = |name| format!("`{name}` is not a string without control characters");
    let client = client.map(|(name, client)| text(client, .., || wrong(name).into()));
    client.transpose()
}

/// Returns `jti`. If the token has no `jti`, returns a digest of the token without its signature.
/// The digest leaves out the signature because anyone can convert an ECDSA signature into a second
/// valid signature.
fn token_id(claims: &Object, signing_input: &str) -> Result<String, Denial> {
    let wrong = "`jti` is not a string of 1 to 256 bytes without control characters";
    match claims.get("jti") {
        None => Ok(sha256_hex(signing_input.as_bytes())),
        Some(id) => text(id, 1..=MAX_TOKEN_ID_BYTES, || wrong.into()),
    }
}

fn audience(claims: &Object, allowed: &[String]) -> Result<(), Denial> {
    let named = strings(claims, "aud")?.unwrap_or_default();
    if named.iter().any(|one| allowed.contains(one)) {
        Ok(())
    } else {
        Err(Denial::Audience)
    }
}

/// Reads a claim that is one string or a list of strings, all without control characters. Returns
/// `None` if the claim is absent.
fn strings(claims: &Object, name: &str) -> Result<Option<Vec<String>>, Denial> {
    let clean = |one| clean(one).map(str::to_owned);
    let read: Option<Vec<String>> = match claims.get(name) {
        None => return Ok(None),
        Some(Value::Array(list)) => list.iter().map(clean).collect(),
        Some(one) => clean(one).map(|one| vec![one]),
    };
    let wrong = || format!("`{name}` is neither a string nor a list of strings");
    read.map(Some).ok_or_else(|| Denial::Claims(wrong().into()))
}

/// Reads a string that has no control characters and whose length is within `bytes`. `wrong` makes
/// the error message.
fn text(
    value: &Value,
    bytes: impl RangeBounds<usize>,
    wrong: impl FnOnce() -> Cow<'static, str>,
) -> Result<String, Denial> {
    let text = clean(value).filter(|text| bytes.contains(&text.len()));
    text.map(str::to_owned)
        .ok_or_else(|| Denial::Claims(wrong()))
}

/// Returns the text of a string without control characters. Such a text is safe to log and to
/// compare. Returns `None` for any other value.
fn clean(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.chars().any(char::is_control))
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let bytes = digest.as_ref().iter();
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
