//! Tokens made to deceive the verifier, one test for each check that the JWT crate leaves to us.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

/// The order of P-256's group.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// The same token with another signature.
fn resigned(token: &str, signature: &[u8]) -> String {
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn signature(token: &str) -> Vec<u8> {
    let (_, signature) = token.rsplit_once('.').unwrap();
    URL_SAFE_NO_PAD.decode(signature).unwrap()
}

/// The token with s replaced by n - s, an equally valid signature.
pub(super) fn other_spelling(token: &str) -> String {
    let mut signature = signature(token);
    let mut borrow = 0;
    for place in (0..32).rev() {
        let order = i32::from_str_radix(&ORDER[2 * place..2 * place + 2], 16).unwrap();
        let difference = order - i32::from(signature[32 + place]) - borrow;
        borrow = i32::from(difference < 0);
        signature[32 + place] = u8::try_from(difference & 0xff).unwrap();
    }
    resigned(token, &signature)
}

#[tokio::test]
async fn es256_with_n_minus_s_has_the_same_token_id() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    let other = other_spelling(&token);
    assert_ne!(token, other);
    let (one, two) = (
        fixture.verify(&token).unwrap(),
        fixture.verify(&other).unwrap(),
    );
    assert_eq!(one.token_id, two.token_id);
}

#[tokio::test]
async fn r_and_s_zero_der_short_and_long_signatures() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    let right = signature(&token);
    let mut der = vec![0x30, 0x44, 2, 0x20];
    der.extend(&right[..32]);
    der.extend([2, 0x20]);
    der.extend(&right[32..]);
    for wrong in [
        vec![0; 64],
        der,
        vec![],
        right[..63].to_vec(),
        [right.as_slice(), &[0]].concat(),
        [&[0], right.as_slice()].concat(),
    ] {
        let verdict = fixture.verify(&resigned(&token, &wrong));
        assert_eq!(verdict, Err(Denial::Signature), "{wrong:?}");
    }
}

#[tokio::test]
async fn none_with_and_without_a_signature() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    for name in ["none", "None", "NONE", ""] {
        let token = key.sign(&json!({"alg": name}).to_string(), &claims().to_string());
        let token = token.unwrap();
        assert_eq!(fixture.verify(&token), Err(Denial::Algorithm), "{name}");
        assert_eq!(
            fixture.verify(&resigned(&token, &[])),
            Err(Denial::Algorithm),
            "{name}"
        );
    }
}

#[tokio::test]
async fn p13_hs256_keyed_with_the_public_key_is_refused() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &Algorithm::ALL);
    let jwk = key.public_jwk();
    let header = json!({"alg": "HS256", "kid": key.kid()}).to_string();
    let token = key.sign(&header, &claims().to_string()).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    for secret in [
        jwk["x"].as_str().unwrap().to_owned(),
        jwk.to_string(),
        key.public_jwks(),
    ] {
        let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&hmac, input.as_bytes());
        let forged = resigned(&token, tag.as_ref());
        assert_eq!(fixture.verify(&forged), Err(Denial::Algorithm));
    }
}

#[tokio::test]
async fn key_says_rs256_and_the_token_ps256() {
    let key = Key::generate(Algorithm::PS256).unwrap();
    let mut jwk = key.public_jwk();
    jwk["alg"] = "RS256".into();
    let clock = Clock::manual(Time(NOW * 1_000_000));
    let fixture = Fixture::with_set(&json!({"keys": [jwk]}), &Algorithm::ALL, clock);
    let token = mint(&key, &claims()).unwrap();
    assert_eq!(fixture.verify(&token), Err(Denial::KeyUnknown));
}

#[tokio::test]
async fn a_key_that_the_token_brings_is_never_used() {
    let (ours, theirs) = (es256(), es256());
    let fixture = Fixture::new(&[&ours], &[Algorithm::ES256]);
    for kid in [ours.kid(), theirs.kid()] {
        let header = json!({
            "alg": "ES256", "kid": kid, "jwk": theirs.public_jwk(),
            "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9/cert", "x5c": ["AAAA"],
        });
        let token = theirs.sign(&header.to_string(), &claims().to_string());
        let expected = if kid == ours.kid() {
            Denial::Signature
        } else {
            Denial::KeyUnknown
        };
        assert_eq!(fixture.verify(&token.unwrap()), Err(expected));
    }
}

#[tokio::test]
async fn p9_a_token_of_one_issuer_cannot_speak_for_another() {
    let (ours, theirs) = (es256(), es256());
    let (one, two) = (
        Fixture::new(&[&ours], &[Algorithm::ES256]),
        Fixture::new(&[&theirs], &[Algorithm::ES256]),
    );
    let mut second = two.settings.clone();
    second.issuer = "https://second.example/".into();
    let issuers = [one.settings.clone(), second];
    let verifier = open(&issuers, None, &one.clock, &one.metrics).unwrap();
    let header = json!({"alg": "ES256", "kid": ours.kid()}).to_string();
    let forged = theirs.sign(&header, &claims().to_string()).unwrap();
    assert_eq!(verifier.verify(&forged), Err(Denial::Signature));
    let forged = mint(&theirs, &claims()).unwrap();
    assert_eq!(verifier.verify(&forged), Err(Denial::KeyUnknown));
    let own = mint(&theirs, &with("iss", "https://second.example/")).unwrap();
    assert_eq!(
        verifier.verify(&own).unwrap().issuer,
        "https://second.example/"
    );
}

#[tokio::test]
async fn the_signature_is_judged_before_what_the_token_says() {
    let (ours, theirs) = (es256(), es256());
    let fixture = Fixture::new(&[&ours], &[Algorithm::ES256]);
    let header = json!({"alg": "ES256", "kid": ours.kid()}).to_string();
    for claims in [
        with("exp", 1),
        with("aud", "else"),
        with("cnf", json!({})),
        with("sub", 5),
        with("nbf", "x"),
    ] {
        let token = theirs.sign(&header, &claims.to_string()).unwrap();
        assert_eq!(fixture.verify(&token), Err(Denial::Signature), "{claims}");
    }
}

#[tokio::test]
async fn denials_come_in_one_order() {
    let (ours, theirs) = (es256(), es256());
    let fixture = Fixture::new(&[&ours], &[Algorithm::ES256]);
    let judged = |header: Value, claims: Value| {
        let token = theirs
            .sign(&header.to_string(), &claims.to_string())
            .unwrap();
        fixture.verify(&token).unwrap_err()
    };
    let evil = || with("iss", "https://evil.example/");
    let form = judged(json!({"alg": "none", "typ": "x", "crit": []}), evil());
    assert!(matches!(form, Denial::Malformed(_)));
    let kind = judged(json!({"alg": "none", "typ": "x"}), evil());
    assert!(matches!(kind, Denial::Type(_)));
    assert_eq!(judged(json!({"alg": "none"}), evil()), Denial::Algorithm);
    assert_eq!(judged(json!({"alg": "ES384"}), evil()), Denial::Issuer);
    assert_eq!(
        judged(json!({"alg": "ES384", "kid": "x"}), claims()),
        Denial::Algorithm
    );
    assert_eq!(
        judged(json!({"alg": "ES256", "kid": "x"}), claims()),
        Denial::KeyUnknown
    );
}

#[tokio::test]
async fn a_signed_token_with_a_duplicate_claim_is_refused() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let header = json!({"alg": "ES256", "kid": key.kid()}).to_string();
    let once = claims().to_string();
    assert!(fixture.verify(&key.sign(&header, &once).unwrap()).is_ok());
    for member in [
        r#""accounts":["*"]"#,
        r#""scope":"users.delete""#,
        r#""\u0073ub":"other""#,
        r#""iss":"https://evil.example/""#,
    ] {
        let twice = once.replacen('{', &format!("{{{member},"), 1);
        let verdict = fixture.verify(&key.sign(&header, &twice).unwrap());
        assert!(matches!(verdict, Err(Denial::Malformed(_))), "{member}");
    }
}

#[tokio::test]
async fn a_signed_token_with_claims_as_an_array_is_refused() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let list = json!([NOW + 300, null, "s", ISSUER, "lychgate"]).to_string();
    let header = json!({"alg": "ES256", "kid": key.kid()}).to_string();
    let token = key.sign(&header, &list).unwrap();
    assert!(matches!(fixture.verify(&token), Err(Denial::Malformed(_))));
}

#[tokio::test]
async fn p8_a_denial_holds_nothing_of_the_token() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    for claims in [
        with("sub", "secret\u{7}"),
        with("aud", "secret"),
        with("iss", "secret"),
    ] {
        let why = fixture.verify(&mint(&key, &claims).unwrap()).unwrap_err();
        assert!(!format!("{why:?}").contains("secret"), "{why:?}");
    }
}
