//! Parses the compact form of a token: header, claims and signature, each in base64url (RFC 7515
//! §7.1, RFC 7519 §7.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{self, Object};
use super::{Algorithm, Denial};

/// The maximum length of a token in bytes, checked before any decoding.
pub(super) const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The maximum length of a `kid` in bytes.
const MAX_KID_BYTES: usize = 256;

/// The parts of a token. The signature is not verified yet.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    /// `header.payload`, the signed text.
    pub(super) signing_input: &'a str,
    /// The third part: valid base64url, not decoded.
    pub(super) signature: &'a str,
    pub(super) header: Header,
    /// The claims, unverified.
    pub(super) claims: Object,
}

/// The algorithm and the key id of a header that passed all checks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

impl<'a> Compact<'a> {
    /// Checks, in this order: size, number of parts, base64url, header and claims as JSON, and the
    /// members of the header.
    pub(super) fn parse(token: &'a str) -> Result<Self, Denial> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Denial::Malformed("the token is longer than 8 KiB"));
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(NOT_THREE_PARTS)?;
        let (header, claims) = signing_input.split_once('.').ok_or(NOT_THREE_PARTS)?;
        if claims.contains('.') {
            return Err(NOT_THREE_PARTS);
        }
        let header = decode(header)?;
        let claims = decode(claims)?;
        decode(signature)?;
        let header = json::object(&header).ok_or(Denial::Malformed(
            "the header is not one JSON object without duplicate names",
        ))?;
        let claims = json::object(&claims).ok_or(Denial::Malformed(
            "the claims are not one JSON object without duplicate names",
        ))?;
        Ok(Self {
            signing_input,
            signature,
            header: Header::judge(&header)?,
            claims,
        })
    }
}

const NOT_THREE_PARTS: Denial = Denial::Malformed("the token is not three parts with two dots");

/// Decodes base64url strictly: allows no padding, no white space, no `+` or `/`, and no stray bits
/// in the last character.
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Denial::Malformed("a part of the token is not base64url without padding"))
}

impl Header {
    /// Checks the header in this order:
    ///
    /// 1. `crit` and `b64` must be absent. A critical extension that the verifier does not
    ///    understand makes a token invalid (RFC 7515 §4.1.11), so the denial is `Malformed`.
    /// 2. `cty`, `enc` and `zip` must be absent: they mark a nested, encrypted or compressed token.
    ///    `typ` must be absent, `JWT` or `at+jwt`. Otherwise, the denial is `Type`.
    /// 3. `alg` and `kid` must be valid.
    ///
    /// The check ignores all members that carry or name a key (`jwk`, `jku`, `x5u`, `x5c`, `x5t`).
    fn judge(header: &Object) -> Result<Self, Denial> {
        if header.contains_key("crit") || header.contains_key("b64") {
            return Err(Denial::Malformed(
                "the header has `crit` or `b64`, and no extension is understood",
            ));
        }
        judge_type(header)?;
        let algorithm = match header.get("alg") {
            None => return Err(Denial::Malformed("the header has no `alg`")),
            Some(name) => name
                .as_str()
                .ok_or(Denial::Malformed("`alg` is not a string"))?,
        };
        let algorithm = Algorithm::from_name(algorithm).ok_or(Denial::Algorithm)?;
        let kid = kid(header).ok_or(Denial::Malformed(
            "`kid` is not a string of at most 256 bytes",
        ))?;
        Ok(Self { algorithm, kid })
    }
}

/// Reads the `kid` of a header or a key: `Some(None)` if `kid` is absent, and `None` if `kid` is
/// not a string of at most [`MAX_KID_BYTES`].
pub(super) fn kid(object: &Object) -> Option<Option<String>> {
    match object.get("kid") {
        None => Some(None),
        Some(kid) => {
            let kid = kid.as_str().filter(|kid| kid.len() <= MAX_KID_BYTES)?;
            Some(Some(kid.to_owned()))
        }
    }
}

fn judge_type(header: &Object) -> Result<(), Denial> {
    for (name, why) in [
        ("cty", "the header has `cty`: nested tokens are not taken"),
        (
            "enc",
            "the header has `enc`: encrypted tokens are not taken",
        ),
        (
            "zip",
            "the header has `zip`: compressed tokens are not taken",
        ),
    ] {
        if header.contains_key(name) {
            return Err(Denial::Type(why));
        }
    }
    let Some(kind) = header.get("typ") else {
        return Ok(());
    };
    let kind = kind.as_str().unwrap_or_default();
    let prefix = "application/";
    let short = match kind.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => &kind[prefix.len()..],
        _ => kind,
    };
    if short.eq_ignore_ascii_case("jwt") || short.eq_ignore_ascii_case("at+jwt") {
        Ok(())
    } else {
        Err(Denial::Type("`typ` is neither JWT nor at+jwt"))
    }
}

#[cfg(test)]
mod tests;
