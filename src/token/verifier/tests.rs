//! Tests of the whole verifier.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::mint::{Key, mint};
use super::super::{Algorithm, KeySource};
use super::*;
use crate::clock::Time;
use crate::tls::ClientTls;

mod cached;
mod hostile;
mod properties;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://issuer.example/";

/// A verifier of one issuer with a key file and a manual clock.
struct Fixture {
    verifier: Verifier,
    clock: Clock,
    metrics: Metrics,
    settings: IssuerSettings,
    path: PathBuf,
}

impl Fixture {
    fn new(keys: &[&Key], algorithms: &[Algorithm]) -> Self {
        let keys: Vec<Value> = keys.iter().map(|key| key.public_jwk()).collect();
        Self::with_set(
            &json!({"keys": keys}),
            algorithms,
            Clock::manual(Time(NOW * 1_000_000)),
        )
    }

    fn with_set(set: &Value, algorithms: &[Algorithm], clock: Clock) -> Self {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("lychgate-verifier-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, set.to_string()).unwrap();
        let settings = settings(ISSUER, KeySource::File(path.clone()), algorithms);
        let metrics = Metrics::new();
        let verifier = open(std::slice::from_ref(&settings), None, &clock, &metrics).unwrap();
        Self {
            verifier,
            clock,
            metrics,
            settings,
            path,
        }
    }

    fn verify(&self, token: &str) -> Result<Arc<Identity>, Denial> {
        self.verifier.verify(token)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn settings(issuer: &str, keys: KeySource, algorithms: &[Algorithm]) -> IssuerSettings {
    IssuerSettings {
        issuer: issuer.into(),
        audience: vec!["lychgate".into()],
        algorithms: algorithms.to_vec(),
        keys,
        accounts_claim: "accounts".into(),
        scopes_claim: "scope".into(),
        client_claim: "client_id".into(),
        leeway: Duration::ZERO,
    }
}

fn open(
    issuers: &[IssuerSettings],
    previous: Option<&Verifier>,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Verifier, String> {
    let fetch = Fetch::new(ClientTls::new(None).unwrap());
    let pace = Pace {
        poll: Duration::from_millis(5),
        ..Pace::default()
    };
    Verifier::with_pace(
        issuers,
        previous,
        &fetch,
        clock.clone(),
        metrics.clone(),
        pace,
    )
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "s", "aud": "lychgate", "exp": NOW + 300, "nbf": NOW, "iat": NOW,
        "accounts": ["12345678"], "scope": "users.read users.delete", "client_id": "c",
    })
}

fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

fn es256() -> Key {
    Key::generate(Algorithm::ES256).unwrap()
}

#[tokio::test]
async fn a_good_token_says_who_is_calling() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let caller = fixture.verify(&mint(&key, &claims()).unwrap()).unwrap();
    assert_eq!(
        (caller.issuer.as_str(), caller.subject.as_str()),
        (ISSUER, "s")
    );
    assert_eq!(caller.client.as_deref(), Some("c"));
    assert!(caller.covers("12345678") && !caller.covers("87654321"));
    assert!(caller.holds("users.delete") && !caller.holds("users.write"));
    assert_eq!(caller.token_id.len(), 64);
}

#[tokio::test]
async fn a_list_of_two_families_and_every_algorithm_of_it_works() {
    let keys: Vec<Key> = [
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
        Algorithm::RS256,
        Algorithm::RS384,
        Algorithm::RS512,
        Algorithm::PS256,
        Algorithm::PS384,
        Algorithm::PS512,
    ]
    .into_iter()
    .map(|algorithm| Key::generate(algorithm).unwrap())
    .collect();
    let fixture = Fixture::new(&keys.iter().collect::<Vec<_>>(), &Algorithm::ALL);
    for key in &keys {
        let token = mint(key, &claims()).unwrap();
        assert!(fixture.verify(&token).is_ok(), "{key:?}");
    }
}

#[tokio::test]
async fn every_denial_of_a_signed_token_is_reached() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    for (claims, expected) in [
        (with("iss", "https://evil.example/"), Denial::Issuer),
        (with("iss", "https://issuer.example"), Denial::Issuer),
        (with("iss", json!([ISSUER])), Denial::Issuer),
        (with("aud", "else"), Denial::Audience),
        (with("exp", NOW), Denial::Expired),
        (with("nbf", NOW + 1), Denial::NotYetValid),
        (with("iat", NOW + 1), Denial::NotYetValid),
        (with("cnf", json!({"jkt": "x"})), Denial::Binding),
    ] {
        let token = mint(&key, &claims).unwrap();
        assert_eq!(fixture.verify(&token), Err(expected), "{claims}");
    }
    for (absent, expected) in [("iss", Denial::Issuer), ("aud", Denial::Audience)] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(absent);
        let token = mint(&key, &claims).unwrap();
        assert_eq!(fixture.verify(&token), Err(expected), "without {absent}");
    }
    let token = mint(&key, &with("sub", 5)).unwrap();
    assert!(matches!(fixture.verify(&token), Err(Denial::Claims(_))));
    let token = key.sign(
        r#"{"alg":"ES256","typ":"logout+jwt"}"#,
        &claims().to_string(),
    );
    assert!(matches!(
        fixture.verify(&token.unwrap()),
        Err(Denial::Type(_))
    ));
    assert!(matches!(fixture.verify("x"), Err(Denial::Malformed(_))));
}

#[tokio::test]
async fn p13_only_what_the_issuer_s_list_names_is_taken() {
    let (listed, other) = (es256(), Key::generate(Algorithm::EdDSA).unwrap());
    let fixture = Fixture::new(&[&listed, &other], &[Algorithm::ES256]);
    let token = mint(&other, &claims()).unwrap();
    assert_eq!(fixture.verify(&token), Err(Denial::Algorithm));
}

#[tokio::test]
async fn without_a_kid_exactly_one_key_must_fit() {
    let (one, two) = (es256(), es256());
    let header = r#"{"alg":"ES256"}"#;
    let token = one.sign(header, &claims().to_string()).unwrap();
    let fixture = Fixture::new(&[&one], &[Algorithm::ES256]);
    assert!(fixture.verify(&token).is_ok());
    let fixture = Fixture::new(&[&one, &two], &[Algorithm::ES256]);
    assert_eq!(fixture.verify(&token), Err(Denial::KeyUnknown));
}

#[tokio::test]
async fn two_keys_under_one_kid_both_verify() {
    let (one, two) = (es256(), es256());
    let mut second = two.public_jwk();
    second["kid"] = one.kid().into();
    let set = json!({"keys": [one.public_jwk(), second]});
    let clock = Clock::manual(Time(NOW * 1_000_000));
    let fixture = Fixture::with_set(&set, &[Algorithm::ES256], clock);
    let header = json!({"alg": "ES256", "kid": one.kid()}).to_string();
    for key in [&one, &two] {
        let token = key.sign(&header, &claims().to_string()).unwrap();
        assert!(fixture.verify(&token).is_ok());
    }
}

#[tokio::test]
async fn the_issuer_s_leeway_counts_for_its_tokens() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let mut wide = fixture.settings.clone();
    wide.leeway = Duration::from_secs(10);
    let wide = open(&[wide], None, &fixture.clock, &fixture.metrics).unwrap();
    let token = mint(&key, &with("exp", NOW - 9)).unwrap();
    assert_eq!(fixture.verify(&token), Err(Denial::Expired));
    assert!(wide.verify(&token).is_ok());
}

#[tokio::test]
async fn before_a_key_set_was_read_keys_are_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let issuer = settings(ISSUER, KeySource::Url(url), &[Algorithm::ES256]);
    let clock = Clock::manual(Time(NOW * 1_000_000));
    let verifier = open(&[issuer], None, &clock, &Metrics::new()).unwrap();
    let token = mint(&es256(), &claims()).unwrap();
    let Err(Denial::KeysUnavailable(why)) = verifier.verify(&token) else {
        panic!("no key set was read");
    };
    assert!(why.starts_with("issuer https://issuer.example/: "), "{why}");
    let health = verifier.health();
    assert_eq!(health[0].0, ISSUER);
    assert!(health[0].1.is_some());
}

#[tokio::test]
async fn a_key_file_that_cannot_be_read_names_issuer_and_file() {
    let source = KeySource::File("/nowhere/keys.json".into());
    let issuer = settings(ISSUER, source, &[Algorithm::ES256]);
    let text = open(&[issuer], None, &Clock::system(), &Metrics::new()).unwrap_err();
    assert!(
        text.starts_with("issuer https://issuer.example/: /nowhere/keys.json: "),
        "{text}"
    );
}

#[tokio::test]
async fn healthy_keys_are_shown_without_trouble() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    assert_eq!(fixture.verifier.health(), [(ISSUER.to_owned(), None)]);
}
