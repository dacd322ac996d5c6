//! Key sets: each key alone, and which key fits a token.

use super::super::mint;
use super::*;
use serde_json::{Value, json};

fn public(algorithm: Algorithm, kid: Option<&str>) -> Value {
    let mut jwk = mint::Key::generate(algorithm).unwrap().public_jwk();
    let members = jwk.as_object_mut().unwrap();
    match kid {
        Some(kid) => members.insert("kid".into(), kid.into()),
        None => members.remove("kid"),
    };
    jwk
}

fn parse(keys: &[Value]) -> Result<KeySet, String> {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes(), "test")
}

#[test]
fn one_bad_key_does_not_fail_the_set() {
    let good = public(Algorithm::ES256, Some("good"));
    for (name, value) in [
        ("use", json!(5)),
        ("kid", json!(5)),
        ("key_ops", json!("verify")),
        ("kty", json!("new")),
        ("crv", json!("new")),
        ("alg", json!("new")),
    ] {
        let mut bad = good.clone();
        bad[name] = value;
        let set = parse(&[bad, json!(null), good.clone()]).unwrap();
        assert_eq!(set.keys.len(), 1, "{name}");
        assert_eq!(set.pick(Some("good"), Algorithm::ES256).len(), 1, "{name}");
    }
}

#[test]
fn two_equal_kids_are_both_kept_by_kid_and_algorithm() {
    let set = parse(&[
        public(Algorithm::ES256, Some("k")),
        public(Algorithm::EdDSA, Some("k")),
    ])
    .unwrap();
    let algorithm = |algorithm| {
        let picked = set.pick(Some("k"), algorithm);
        picked
            .iter()
            .map(|key| key.algorithms[0])
            .collect::<Vec<_>>()
    };
    assert_eq!(algorithm(Algorithm::ES256), [Algorithm::ES256]);
    assert_eq!(algorithm(Algorithm::EdDSA), [Algorithm::EdDSA]);
    assert!(algorithm(Algorithm::ES384).is_empty());
}

#[test]
fn a_third_key_of_one_kid_and_algorithm_is_left_out() {
    let keys: Vec<_> = (0..3)
        .map(|_| public(Algorithm::ES256, Some("k")))
        .collect();
    let set = parse(&keys).unwrap();
    assert_eq!(set.pick(Some("k"), Algorithm::ES256).len(), 2);
}

#[test]
fn without_a_kid_exactly_one_key_must_fit_the_algorithm() {
    let set = parse(&[
        public(Algorithm::ES256, Some("a")),
        public(Algorithm::ES384, Some("b")),
        public(Algorithm::ES384, None),
    ])
    .unwrap();
    assert_eq!(set.pick(None, Algorithm::ES256).len(), 1);
    assert_eq!(set.pick(None, Algorithm::ES384).len(), 0, "two fit");
    assert_eq!(set.pick(None, Algorithm::EdDSA).len(), 0, "none fits");
}

#[test]
fn a_kid_matches_byte_for_byte_and_no_key_without_one() {
    let set = parse(&[
        public(Algorithm::ES256, Some("a")),
        public(Algorithm::ES384, None),
    ])
    .unwrap();
    assert_eq!(set.pick(Some("A"), Algorithm::ES256).len(), 0);
    assert_eq!(set.pick(Some(""), Algorithm::ES384).len(), 0);
    assert_eq!(set.pick(Some("a"), Algorithm::ES384).len(), 0);
}

#[test]
fn the_set_is_an_object_with_one_list() {
    let key = public(Algorithm::ES256, None);
    for text in [
        format!("[[{key}]]"),
        format!("[{key}]"),
        "{}".to_owned(),
        format!(r#"{{"keys":{key}}}"#),
        r#"{"keys":null}"#.to_owned(),
        format!(r#"{{"keys":[],"keys":[{key}]}}"#),
        format!(r#"{{"keys":[{key}]}} x"#),
        format!(r#"{{"keys":[{key}]"#),
        String::new(),
    ] {
        assert!(KeySet::parse(text.as_bytes(), "test").is_err(), "{text}");
    }
    let more = format!(r#"{{"a":{{"keys":1}},"keys":[{key}],"b":[]}}"#);
    assert!(KeySet::parse(more.as_bytes(), "test").is_ok());
}

#[test]
fn a_set_without_a_usable_key_is_refused_and_says_why() {
    let why = parse(&[]).unwrap_err();
    assert_eq!(why, "the key set holds no usable key");
    let why = parse(&[json!({"kty": "oct", "k": "c2VjcmV0"})]).unwrap_err();
    assert!(
        why.contains("key 1 holds a private or a shared key"),
        "{why}"
    );
}

#[test]
fn p8_no_reason_shows_key_material() {
    let secret = "c2VjcmV0LXZhbHVl";
    let why = parse(&[json!({"kty": "oct", "k": secret, "kid": secret})]).unwrap_err();
    assert!(!why.contains(secret), "{why}");
    let why = KeySet::parse(format!("{{\"k\":\"{secret}").as_bytes(), "test").unwrap_err();
    assert!(!why.contains(secret), "{why}");
    let set = parse(&[public(Algorithm::ES256, None)]).unwrap();
    assert!(format!("{set:?}").contains("[redacted]"));
}

#[test]
fn a_set_is_bounded_in_keys_and_bytes() {
    let key = public(Algorithm::EdDSA, None);
    assert!(parse(&vec![key.clone(); 100]).is_ok());
    assert!(parse(&vec![key.clone(); 101]).unwrap_err().contains("100"));
    let long = format!(r#"{{"keys":[{key}],"x":"{}"}}"#, "x".repeat(MAX_SET_BYTES));
    let why = KeySet::parse(long.as_bytes(), "test").unwrap_err();
    assert!(why.contains("256 KiB"));
}
