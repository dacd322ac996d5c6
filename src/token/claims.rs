//! What verified claims say, and whether they are for this gateway.

use super::date::Window;
use super::json::{Object, Value};
use super::{Accounts, Denial, Identity, IssuerSettings};

/// Bytes of a `jti`.
const MAX_TOKEN_ID_BYTES: usize = 256;

/// The caller and the time in which the token counts; the clock is not asked yet.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) identity: Identity,
    pub(super) window: Window,
}

/// The issuer that a token names, before anything of it is trusted: a string, else `None`.
pub(super) fn issuer(claims: &Object) -> Option<&str> {
    claims.get("iss")?.text()
}

/// Judges the claims of a token whose signature is right, in this order: binding, times as numbers,
/// `sub`, accounts, scopes, client, `jti`, `aud` as a form, and last the audience.
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

/// None where the claim is absent: such a caller may touch no account.
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

/// `jti`, or else a digest that both spellings of an ECDSA signature share.
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

/// A string or a list of strings, without control characters; empty where the claim is absent.
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

/// A string that can be logged and compared.
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
