//! The public half of a key pair as a JWK.

use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::Pair;

/// RFC 7638: the SHA-256 of the required members, sorted by name, without white space.
pub(super) fn thumbprint(pair: &Pair) -> String {
    let text = required(pair).to_string();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    URL_SAFE_NO_PAD.encode(digest)
}

/// The members of the public key; serde_json keeps them sorted by name.
pub(super) fn required(pair: &Pair) -> Value {
    let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match pair {
        Pair::Elliptic(pair) => {
            let point = pair.public_key().as_ref();
            let (x, y) = point.split_at(1).1.split_at(point.len() / 2);
            let curve = if x.len() == 32 { "P-256" } else { "P-384" };
            json!({"crv": curve, "kty": "EC", "x": b64(x), "y": b64(y)})
        }
        Pair::Edwards(pair) => {
            json!({"crv": "Ed25519", "kty": "OKP", "x": b64(pair.public_key().as_ref())})
        }
        Pair::Rsa(pair) => {
            let (n, e) = rsa_components(pair.public_key().as_ref()).unwrap_or_default();
            json!({"e": b64(&e), "kty": "RSA", "n": b64(&n)})
        }
    }
}

/// `n` and `e` of a DER `RSAPublicKey` (RFC 8017 §A.1.1), without leading zeros.
fn rsa_components(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sequence, _) = element(der, 0x30)?;
    let (n, rest) = element(sequence, 0x02)?;
    let (e, _) = element(rest, 0x02)?;
    let short = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    };
    Some((short(n), short(e)))
}

/// The content of one DER element with this tag, and the bytes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    (*first == tag).then(|| rest.split_at_checked(length))?
}
