//! Keys and tokens, signed with aws-lc-rs directly as an independent check of the gateway's code.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lychgate::clock::Clock;
use serde_json::{Map, Value, json};

pub(crate) const ISSUER: &str = "https://issuer.test/";
pub(crate) const AUDIENCE: &str = "lychgate";
pub(crate) const ACCOUNT: &str = "12345678";
/// All scopes of the default contract except the one for unconditional deletions.
pub(crate) const SCOPES: &str = "users.read users.write users.delete";

/// The key that signs a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
    /// ES256, in the key set.
    Main,
    /// EdDSA, in the key set.
    Edwards,
    /// ES384, in the key set, but the algorithm is not allowed.
    Other,
    /// ES256 with the main key's `kid`, but another key.
    Impostor,
    /// HMAC-SHA256 keyed with the main key's public bytes.
    Symmetric,
    /// No signature.
    Nobody,
}

/// All keys, made once.
struct Keys {
    main: EcdsaKeyPair,
    impostor: EcdsaKeyPair,
    other: EcdsaKeyPair,
    edwards: Ed25519KeyPair,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        main: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        impostor: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        other: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        edwards: Ed25519KeyPair::generate().unwrap(),
    })
}

/// The JWK set that the gateway trusts.
pub(crate) fn key_set() -> String {
    let point = |key: &EcdsaKeyPair, curve: &str, algorithm: &str, id: &str| {
        let (_, point) = key.public_key().as_ref().split_at(1);
        let (x, y) = point.split_at(point.len() / 2);
        json!({"kty": "EC", "crv": curve, "alg": algorithm, "kid": id, "use": "sig",
            "x": encode(x), "y": encode(y)})
    };
    let edwards = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "edwards",
        "use": "sig", "x": encode(keys().edwards.public_key().as_ref())});
    let keys = [
        point(&keys().main, "P-256", "ES256", "main"),
        point(&keys().other, "P-384", "ES384", "other"),
        edwards,
    ];
    json!({"keys": keys}).to_string()
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    Clock::system().now().seconds()
}

/// Claims that pass every check.
pub(crate) fn good_claims() -> Map<String, Value> {
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "console",
        "accounts": [ACCOUNT], "scope": SCOPES, "iat": now(), "exp": now() + 600,
    });
    claims.as_object().unwrap().clone()
}

/// The header for a signer.
pub(crate) fn good_header(signer: Signer) -> Map<String, Value> {
    let (algorithm, id) = match signer {
        Signer::Main | Signer::Impostor => ("ES256", "main"),
        Signer::Edwards => ("EdDSA", "edwards"),
        Signer::Other => ("ES384", "other"),
        Signer::Symmetric => ("HS256", "main"),
        Signer::Nobody => ("none", "main"),
    };
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": id});
    header.as_object().unwrap().clone()
}

/// A token that passes every check.
pub(crate) fn good_token() -> String {
    sign(Signer::Main, &good_header(Signer::Main), &good_claims())
}

/// Signs a token with these parts.
pub(crate) fn sign(
    signer: Signer,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
) -> String {
    let text = |map: &Map<String, Value>| Value::Object(map.clone()).to_string();
    sign_text(signer, &text(header), &text(claims))
}

/// Signs these texts without any check.
pub(crate) fn sign_text(signer: Signer, header: &str, claims: &str) -> String {
    let input = format!(
        "{}.{}",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    let (bytes, random) = (input.as_bytes(), SystemRandom::new());
    let by = |key: &EcdsaKeyPair| key.sign(&random, bytes).unwrap().as_ref().to_vec();
    let signature = match signer {
        Signer::Main => by(&keys().main),
        Signer::Impostor => by(&keys().impostor),
        Signer::Other => by(&keys().other),
        Signer::Edwards => keys().edwards.sign(bytes).as_ref().to_vec(),
        Signer::Symmetric => {
            let secret = keys().main.public_key().as_ref();
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
            aws_lc_rs::hmac::sign(&key, bytes).as_ref().to_vec()
        }
        Signer::Nobody => Vec::new(),
    };
    format!("{input}.{}", encode(&signature))
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
