//! Reads the claims of a token and checks that the token is for this gateway.

use super::date::Window;
use super::json::{Object, Value};
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
    claims.get("iss")?.text()
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
    match claims.get("sub") {
        None => Err(Denial::Claims("the token has no `sub`")),
        Some(subject) => clean(subject)
            .filter(|subject| !subject.is_empty())
            .map(str::to_owned)
            .ok_or(Denial::Claims(
                "`sub` is not a string without control characters",
            )),
    }
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
        Some(Value::Text(text)) => text
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
    match claims.get(name).or_else(|| claims.get("azp")) {
        None => Ok(None),
        Some(client) => clean(client)
            .map(|client| Some(client.to_owned()))
            .ok_or(Denial::Claims(
                "the client claim is not a string without control characters",
            )),
    }
}

/// `jti`; without one, a digest that both encodings of an ECDSA signature share.
fn token_id(claims: &Object, signing_input: &str) -> Result<String, Denial> {
    match claims.get("jti") {
        None => Ok(sha256_hex(signing_input.as_bytes())),
        Some(id) => clean(id)
            .filter(|id| !id.is_empty() && id.len() <= MAX_TOKEN_ID_BYTES)
            .map(str::to_owned)
            .ok_or(Denial::Claims(
                "`jti` is not a string of 1 to 256 bytes without control characters",
            )),
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
        Some(Value::List(list)) => list
            .iter()
            .map(|one| clean(one).map(str::to_owned))
            .collect(),
        Some(one) => clean(one).map(|one| vec![one.to_owned()]),
    }
}

/// A string that is safe to log and to compare.
fn clean(value: &Value) -> Option<&str> {
    value
        .text()
        .filter(|text| !text.chars().any(char::is_control))
}

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let digits = b"0123456789abcdef";
    let nibbles = digest
        .as_ref()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .map(|nibble| char::from(digits[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests;
