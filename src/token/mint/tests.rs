//! Minted tokens and the keys that sign them.

use super::*;

fn verifies(key: &Key) {
    let token = mint(key, &json!({"sub": "s"})).unwrap();
    let (input, signature) = token.rsplit_once('.').unwrap();
    let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(key.public_jwk()).unwrap();
    let public = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let algorithm = key.algorithm().jwt();
    let right = jsonwebtoken::crypto::verify(signature, input.as_bytes(), &public, algorithm);
    assert!(right.unwrap(), "{key:?}");
}

#[test]
fn a_token_of_every_kind_of_key_verifies_under_its_public_half() {
    for algorithm in [Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        verifies(&Key::generate(algorithm).unwrap());
    }
}

#[test]
fn one_rsa_key_signs_with_every_rsa_algorithm() {
    let mut key = Key::generate(Algorithm::RS256).unwrap();
    for algorithm in Algorithm::RSA {
        key.algorithm = *algorithm;
        verifies(&key);
    }
}

#[test]
fn a_key_written_as_pem_is_read_back() {
    for algorithm in [
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
        Algorithm::RS256,
    ] {
        let key = Key::generate(algorithm).unwrap();
        let pem = key.private_pem().unwrap();
        assert!(pem.lines().all(|line| line.len() <= 64));
        let read = Key::read(&pem).unwrap();
        assert_eq!(read.public_jwks(), key.public_jwks());
        verifies(&read);
    }
}

#[test]
fn a_private_jwk_is_read_with_its_kid_and_algorithm() {
    // The example keys of RFC 8037 §A.1 and RFC 7515 §A.3.1.
    let edwards = Key::read(
        r#"{"kty":"OKP","crv":"Ed25519","kid":"mine",
            "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    )
    .unwrap();
    assert_eq!(
        (edwards.kid(), edwards.algorithm()),
        ("mine", Algorithm::EdDSA)
    );
    verifies(&edwards);
    let elliptic = Key::read(
        r#"{"kty":"EC","crv":"P-256","alg":"ES256",
            "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#,
    )
    .unwrap();
    verifies(&elliptic);
}

#[test]
fn the_thumbprint_is_the_one_of_rfc_8037() {
    let key = Key::read(
        r#"{"kty":"OKP","crv":"Ed25519",
            "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    )
    .unwrap();
    assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn anything_but_a_private_key_is_refused() {
    let public = Key::generate(Algorithm::ES256)
        .unwrap()
        .public_jwk()
        .to_string();
    let mismatched = r#"{"kty":"OKP","crv":"Ed25519",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"21qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let wrong_alg = r#"{"kty":"OKP","crv":"Ed25519","alg":"ES256",
        "d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    for text in ["", "{}", "{", "secret", &public, mismatched, wrong_alg] {
        assert!(Key::read(text).is_err(), "{text}");
    }
    let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert!(Key::read(pem).is_err());
}

#[test]
fn p8_no_output_or_error_shows_the_private_key() {
    let d = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let jwk = format!(r#"{{"kty":"OKP","crv":"Ed25519","d":"{d}","x":"{x}"}}"#);
    let key = Key::read(&jwk).unwrap();
    assert!(!format!("{key:?}").contains(d));
    assert!(!key.public_jwks().contains(d));
    let broken = jwk.replace(x, "AAAA");
    assert!(!Key::read(&broken).unwrap_err().to_string().contains(d));
}
