//! Which keys are accepted, and why others are not.

use super::super::mint;
use super::*;
use serde_json::{Value as Json, json};

fn public(algorithm: Algorithm) -> Json {
    let mut jwk = mint::Key::generate(algorithm).unwrap().public_jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk
}

fn read(jwk: &Json) -> Result<Key, &'static str> {
    Key::parse(&jwk.to_string())
}

fn with(jwk: &Json, name: &str, value: impl Into<Json>) -> Json {
    let mut jwk = jwk.clone();
    jwk[name] = value.into();
    jwk
}

#[test]
fn every_type_is_read_for_the_algorithms_that_it_serves() {
    let elliptic = read(&public(Algorithm::ES256)).unwrap();
    assert_eq!(elliptic.algorithms, [Algorithm::ES256]);
    let elliptic = read(&public(Algorithm::ES384)).unwrap();
    assert_eq!(elliptic.algorithms, [Algorithm::ES384]);
    let edwards = read(&public(Algorithm::EdDSA)).unwrap();
    assert_eq!(edwards.algorithms, [Algorithm::EdDSA]);
    let rsa = read(&public(Algorithm::RS256)).unwrap();
    assert_eq!(rsa.algorithms, Algorithm::RSA);
}

#[test]
fn key_says_alg_and_serves_that_one_alone() {
    let rsa = public(Algorithm::RS256);
    let key = read(&with(&rsa, "alg", "RS256")).unwrap();
    assert_eq!(key.algorithms, [Algorithm::RS256]);
    for alg in [
        json!("ES256"),
        json!("RSA-OAEP"),
        json!("rs256"),
        json!("none"),
        json!(5),
        json!(null),
    ] {
        assert!(read(&with(&rsa, "alg", alg.clone())).is_err(), "{alg}");
    }
}

#[test]
fn use_enc_and_key_ops_sign() {
    let key = public(Algorithm::ES256);
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(5)),
        ("use", json!(null)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("key_ops", json!("verify")),
        ("key_ops", json!([5])),
    ] {
        assert!(
            read(&with(&key, name, value.clone())).is_err(),
            "{name} {value}"
        );
    }
    assert!(read(&with(&key, "key_ops", json!(["sign", "verify"]))).is_ok());
    let mut without = key;
    without.as_object_mut().unwrap().remove("use");
    assert!(read(&without).is_ok());
}

#[test]
fn point_off_the_curve_and_at_infinity() {
    let key = public(Algorithm::ES256);
    let other = public(Algorithm::ES256);
    assert!(read(&with(&key, "y", other["y"].clone())).is_err());
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let infinity = with(&with(&key, "x", zero.as_str()), "y", zero.as_str());
    assert!(read(&infinity).is_err());
}

#[test]
fn short_coordinates() {
    let key = public(Algorithm::ES256);
    for bytes in [vec![], vec![1; 31], vec![1; 33]] {
        let text = URL_SAFE_NO_PAD.encode(bytes);
        assert!(read(&with(&key, "x", text.as_str())).is_err());
        assert!(read(&with(&key, "y", text.as_str())).is_err());
    }
}

#[test]
fn p256_bytes_under_crv_p384_and_other_curves() {
    let key = public(Algorithm::ES256);
    for curve in [
        json!("P-384"),
        json!("P-521"),
        json!("secp256k1"),
        json!("p-256"),
        json!(5),
    ] {
        assert!(read(&with(&key, "crv", curve.clone())).is_err(), "{curve}");
    }
    assert!(read(&with(&public(Algorithm::EdDSA), "crv", "X25519")).is_err());
    assert!(read(&with(&public(Algorithm::EdDSA), "crv", "Ed448")).is_err());
}

/// An odd modulus of exactly this many bits. Nobody knows its factors, so it only serves tests of
/// the size.
fn modulus(bits: usize) -> String {
    let mut n = vec![0xff; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        n[0] = (1 << (bits % 8)) - 1;
    }
    URL_SAFE_NO_PAD.encode(n)
}

#[test]
fn rsa_of_512_and_16384_bits() {
    let size = |bits| read(&json!({"kty": "RSA", "e": "AQAB", "n": modulus(bits)}));
    for bits in [8, 512, 1024, 2047, 8193, 16_384] {
        assert!(size(bits).is_err(), "{bits}");
    }
    for bits in [2048, 3072, 8192] {
        assert!(size(bits).is_ok(), "{bits}");
    }
    assert!(read(&json!({"kty": "RSA", "e": "AQAB", "n": ""})).is_err());
}

#[test]
fn rsa_length_is_counted_without_leading_zeros() {
    let mut n = vec![0; 128];
    n.extend([0xff; 128]);
    let padded = json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(&n)});
    assert!(read(&padded).is_err(), "1,024 bits behind zeros");
    n.extend([0xff; 128]);
    let padded = json!({"kty": "RSA", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(&n)});
    assert!(read(&padded).is_ok(), "2,048 bits behind zeros");
}

#[test]
fn rsa_exponent_of_1_or_even() {
    for e in [
        [0].as_slice(),
        &[0, 1],
        &[1],
        &[2],
        &[1, 0, 0],
        &[],
        &[0xff; 9],
    ] {
        let e = URL_SAFE_NO_PAD.encode(e);
        assert!(
            read(&json!({"kty": "RSA", "e": e, "n": modulus(2048)})).is_err(),
            "{e}"
        );
    }
}

#[test]
fn oct_is_never_a_key() {
    let why = read(&json!({"kty": "oct", "k": "AAAA", "alg": "HS256"})).unwrap_err();
    assert!(why.contains("shared"));
    assert!(read(&json!({"kty": "oct"})).is_err());
}

#[test]
fn a_private_key_does_not_belong_in_a_set() {
    let key = with(&public(Algorithm::EdDSA), "d", "AAAA");
    assert!(read(&key).unwrap_err().contains("private"));
}

#[test]
fn ed25519_small_order_long_or_short() {
    let mut identity = [0; 32];
    identity[0] = 1;
    for x in [
        identity.to_vec(),
        vec![0xff; 32],
        vec![7; 31],
        vec![7; 33],
        vec![],
    ] {
        let x = URL_SAFE_NO_PAD.encode(x);
        assert!(
            read(&json!({"kty": "OKP", "crv": "Ed25519", "x": x})).is_err(),
            "{x}"
        );
    }
}

#[test]
fn unknown_kty_missing_n_and_members_of_another_type() {
    for jwk in [
        json!({}),
        json!({"kty": "AKP"}),
        json!({"kty": "ec"}),
        json!({"kty": 5}),
        json!({"kty": "RSA", "e": "AQAB"}),
        json!({"kty": "RSA", "e": "AQAB", "n": 5}),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "+/=="}),
        json!([]),
        json!("x"),
        json!(null),
    ] {
        assert!(read(&jwk).is_err(), "{jwk}");
    }
}

#[test]
fn kid_5_and_kid_too_long() {
    let key = public(Algorithm::ES256);
    assert!(read(&with(&key, "kid", 5)).is_err());
    assert!(read(&with(&key, "kid", "k".repeat(257))).is_err());
    assert!(read(&with(&key, "kid", "k".repeat(256))).is_ok());
}

#[test]
fn a_duplicate_member_is_refused() {
    let text = public(Algorithm::ES256).to_string();
    let twice = text.replacen('{', r#"{"kty":"EC","#, 1);
    assert!(Key::parse(&text).is_ok());
    assert!(Key::parse(&twice).is_err());
}

#[test]
fn x5c_of_another_type_does_not_matter() {
    assert!(read(&with(&public(Algorithm::ES256), "x5c", "x")).is_ok());
}

#[test]
fn rsa_modulus_that_is_even() {
    let mut n = vec![0xff; 256];
    n[255] = 0xfe;
    let n = URL_SAFE_NO_PAD.encode(n);
    assert!(read(&json!({"kty": "RSA", "e": "AQAB", "n": n})).is_err());
    assert!(read(&json!({"kty": "RSA", "e": "Aw", "n": modulus(2048)})).is_ok());
}
