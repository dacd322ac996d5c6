//! Private keys in JWK form (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{self as sign, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

use super::super::Algorithm;
use super::super::json::{self, Object};
use super::{Key, MintError, Pair};

/// Reads a private JWK, including its `kid` and `alg`.
pub(super) fn read(text: &str) -> Result<Key, MintError> {
    let jwk = json::object(text.as_bytes()).ok_or(MintError("is not one JSON object"))?;
    let (pair, default) = match jwk.get("kty").and_then(Value::as_str) {
        Some("EC") => elliptic(&jwk)?,
        Some("OKP") => (Pair::Edwards(edwards(&jwk)?), Algorithm::EdDSA),
        Some("RSA") => (Pair::Rsa(rsa(&jwk)?), Algorithm::RS256),
        _ => return Err(MintError("has a `kty` that is not EC, OKP or RSA")),
    };
    let algorithm = match jwk.get("alg") {
        None => default,
        Some(name) => name
            .as_str()
            .and_then(Algorithm::from_name)
            .filter(|one| *one == default || serves_rsa(&pair, *one))
            .ok_or(MintError("has an `alg` that its type cannot serve"))?,
    };
    let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
    Ok(Key::new(pair, algorithm, kid))
}

fn serves_rsa(pair: &Pair, algorithm: Algorithm) -> bool {
    matches!(pair, Pair::Rsa(_)) && Algorithm::RSA.contains(&algorithm)
}

fn bytes(jwk: &Object, name: &str) -> Result<Zeroizing<Vec<u8>>, MintError> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(|text| URL_SAFE_NO_PAD.decode(text).ok())
        .map(Zeroizing::new)
        .ok_or(MintError(
            "lacks a member of its type, or one is not base64url",
        ))
}

fn elliptic(jwk: &Object) -> Result<(Pair, Algorithm), MintError> {
    let (signing, algorithm) = match jwk.get("crv").and_then(Value::as_str) {
        Some("P-256") => (&sign::ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::ES256),
        Some("P-384") => (&sign::ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::ES384),
        _ => return Err(MintError("is on a curve other than P-256 and P-384")),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    let point = [&[4], x.as_slice(), y.as_slice()].concat();
    EcdsaKeyPair::from_private_key_and_public_key(signing, &bytes(jwk, "d")?, &point)
        .map(|pair| (Pair::Elliptic(pair), algorithm))
        .map_err(|_| MintError("is an EC key whose members do not belong together"))
}

fn edwards(jwk: &Object) -> Result<Ed25519KeyPair, MintError> {
    Ed25519KeyPair::from_seed_and_public_key(&bytes(jwk, "d")?, &bytes(jwk, "x")?)
        .map_err(|_| MintError("is an OKP key whose members do not belong together"))
}

fn rsa(jwk: &Object) -> Result<RsaKeyPair, MintError> {
    let components = KeyPairComponents {
        public_key: PublicKeyComponents {
            n: bytes(jwk, "n")?,
            e: bytes(jwk, "e")?,
        },
        d: bytes(jwk, "d")?,
        p: bytes(jwk, "p")?,
        q: bytes(jwk, "q")?,
        dP: bytes(jwk, "dp")?,
        dQ: bytes(jwk, "dq")?,
        qInv: bytes(jwk, "qi")?,
    };
    RsaKeyPair::from_components(&components)
        .map_err(|_| MintError("is an RSA key whose members do not belong together"))
}
