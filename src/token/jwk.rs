//! Parses one public key of a JWK set (RFC 7517, RFC 8037). The parser validates each key, so that
//! the gateway's log names a bad key at once. Without this check, a bad key would stay unnoticed
//! until tokens fail with a wrong signature.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature as check;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::json::{self, Object};
use super::{Algorithm, compact};

/// A validated public key for checking signatures.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) kid: Option<String>,
    /// The algorithms that the key type allows, restricted by the key's own `alg`.
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
}

impl Key {
    /// Parses and validates one public key.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let jwk = json::object(text.as_bytes())
            .ok_or("is not one JSON object without duplicate names")?;
        if ["d", "p", "q", "k"]
            .iter()
            .any(|name| jwk.contains_key(*name))
        {
            return Err("holds a private or a shared key; only public keys belong in a set");
        }
        judge_use(&jwk)?;
        let kid =
            compact::kid(&jwk).ok_or("has a `kid` that is not a string of at most 256 bytes")?;
        let (fitting, decoding) = match text_of(&jwk, "kty", "has no `kty`")? {
            "RSA" => rsa(&jwk)?,
            "EC" => elliptic(&jwk)?,
            "OKP" => edwards(&jwk)?,
            "oct" => return Err("is a shared key (`oct`), which is never used"),
            _ => return Err("has a `kty` that is not RSA, EC or OKP"),
        };
        let algorithms = match jwk.get("alg") {
            None => fitting.to_vec(),
            Some(name) => {
                let name = name.as_str().ok_or("has an `alg` that is not a string")?;
                let one = Algorithm::from_name(name).filter(|one| fitting.contains(one));
                vec![one.ok_or("has an `alg` that its type cannot serve")?]
            }
        };
        Ok(Self {
            kid,
            algorithms,
            decoding,
        })
    }
}

/// Checks `use` and `key_ops` (RFC 7517 §4.2, §4.3): each must be absent or allow the verification
/// of signatures.
fn judge_use(jwk: &Object) -> Result<(), &'static str> {
    match jwk.get("use") {
        None => {}
        Some(Value::String(purpose)) if purpose == "sig" => {}
        Some(_) => return Err("has a `use` other than `sig`"),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(list)) if list.iter().any(|one| one.as_str() == Some("verify")) => Ok(()),
        Some(_) => Err("has `key_ops` without `verify`"),
    }
}

fn text_of<'a>(jwk: &'a Object, name: &str, why: &'static str) -> Result<&'a str, &'static str> {
    jwk.get(name).and_then(Value::as_str).ok_or(why)
}

fn bytes_of(jwk: &Object, name: &str, why: &'static str) -> Result<Vec<u8>, &'static str> {
    let text = text_of(jwk, name, why)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| why)
}

type Material = (&'static [Algorithm], DecodingKey);

fn rsa(jwk: &Object) -> Result<Material, &'static str> {
    let n = bytes_of(jwk, "n", "has no usable `n`")?;
    let e = bytes_of(jwk, "e", "has no usable `e`")?;
    let (n, e) = (without_leading_zeros(&n), without_leading_zeros(&e));
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if e.len() > 8 {
        return Err("is an RSA key whose `e` is longer than 8 bytes");
    }
    if !(2048..=8192).contains(&bits) {
        return Err("is an RSA key of less than 2,048 or more than 8,192 bits");
    }
    // The library checks the exponent of a key in DER, but not of a key that it gets as two
    // numbers.
    let no_key = "is an RSA key whose `n` and `e` make no key";
    let der = PublicKeyComponents { n, e }.as_der().map_err(|_| no_key)?;
    check::ParsedPublicKey::new(&check::RSA_PKCS1_2048_8192_SHA256, der.as_ref())
        .map_err(|_| no_key)?;
    Ok((Algorithm::RSA, DecodingKey::from_rsa_raw_components(n, e)))
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn elliptic(jwk: &Object) -> Result<Material, &'static str> {
    let (fitting, length, algorithm): (
        &[Algorithm],
        usize,
        &'static check::EcdsaVerificationAlgorithm,
    ) = match text_of(jwk, "crv", "has no `crv`")? {
        "P-256" => (&[Algorithm::ES256], 32, &check::ECDSA_P256_SHA256_FIXED),
        "P-384" => (&[Algorithm::ES384], 48, &check::ECDSA_P384_SHA384_FIXED),
        _ => return Err("is an EC key on a curve other than P-256 and P-384"),
    };
    let x = bytes_of(jwk, "x", "has no usable `x`")?;
    let y = bytes_of(jwk, "y", "has no usable `y`")?;
    if x.len() != length || y.len() != length {
        return Err("is an EC key whose coordinates have not the length of its curve");
    }
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    check::ParsedPublicKey::new(algorithm, &point)
        .map_err(|_| "is an EC key that is not a point of its curve")?;
    Ok((fitting, DecodingKey::from_ec_der(&point)))
}

fn edwards(jwk: &Object) -> Result<Material, &'static str> {
    if text_of(jwk, "crv", "has no `crv`")? != "Ed25519" {
        return Err("is an OKP key on a curve other than Ed25519");
    }
    let x = bytes_of(jwk, "x", "has no usable `x`")?;
    let point: [u8; 32] = x
        .as_slice()
        .try_into()
        .map_err(|_| "is an Ed25519 key that is not 32 bytes long")?;
    if !super::edwards::may_verify(point) {
        return Err("is an Ed25519 key of small order or not in its shortest form");
    }
    check::ParsedPublicKey::new(&check::ED25519, point)
        .map_err(|_| "is an Ed25519 key that cannot be read")?;
    Ok((&[Algorithm::EdDSA], DecodingKey::from_ed_der(&point)))
}

#[cfg(test)]
mod tests;
