//! Properties of every token.

use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};
use proptest::prelude::*;

use super::*;

/// Whether the JWT crate accepts the token with all of its checks on.
fn crate_accepts(token: &str, key: &Key) -> bool {
    let jwk: Jwk = serde_json::from_value(key.public_jwk()).unwrap();
    let mut rules = Validation::new(key.algorithm().jwt());
    rules.leeway = 0;
    rules.validate_nbf = true;
    rules.set_issuer(&[ISSUER]);
    rules.set_audience(&["lychgate"]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let public = DecodingKey::from_jwk(&jwk).unwrap();
    jsonwebtoken::decode::<Value>(token, &public, &rules).is_ok()
}

/// A verifier and its tokio runtime, for the synchronous cases of proptest.
struct Bench {
    runtime: tokio::runtime::Runtime,
    fixture: Fixture,
    key: Key,
}

impl Bench {
    fn new(algorithm: Algorithm, clock: Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let key = Key::generate(algorithm).unwrap();
        let set = json!({"keys": [key.public_jwk()]});
        let fixture = runtime.block_on(async { Fixture::with_set(&set, &[algorithm], clock) });
        Self {
            runtime,
            fixture,
            key,
        }
    }

    fn verify(&self, token: &str) -> Result<Arc<Identity>, Denial> {
        let _entered = self.runtime.enter();
        self.fixture.verify(token)
    }
}

fn still() -> Clock {
    Clock::manual(Time(NOW * 1_000_000))
}

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One change to an ASCII text.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, char),
    Insert(prop::sample::Index, char),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
    Swap(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    let letter = || prop_oneof![4 => "[A-Za-z0-9_.=+/-]".prop_map(|s| s.chars().next().unwrap()), 1 => any::<char>()];
    prop_oneof![
        4 => (place(), letter()).prop_map(|(place, letter)| Change::Replace(place, letter)),
        1 => (place(), letter()).prop_map(|(place, letter)| Change::Insert(place, letter)),
        1 => place().prop_map(Change::Remove),
        1 => place().prop_map(Change::Cut),
        1 => place().prop_map(Change::Swap),
    ]
}

fn changed(token: &str, changes: &[Change]) -> String {
    let mut letters: Vec<char> = token.chars().collect();
    for change in changes {
        let length = letters.len();
        match change {
            _ if length < 2 => {}
            Change::Replace(place, letter) => letters[place.index(length)] = *letter,
            Change::Insert(place, letter) => letters.insert(place.index(length + 1), *letter),
            Change::Remove(place) => drop(letters.remove(place.index(length))),
            Change::Cut(place) => letters.truncate(place.index(length)),
            Change::Swap(place) => letters.swap(place.index(length), 0),
        }
    }
    letters.into_iter().collect()
}

fn no_changed_token_is_accepted(algorithm: Algorithm, number: u32) {
    let bench = Bench::new(algorithm, still());
    let token = mint(&bench.key, &claims()).unwrap();
    let original = bench.verify(&token).unwrap();
    let spelled_otherwise =
        (algorithm == Algorithm::ES256).then(|| hostile::other_spelling(&token));
    proptest!(cases(number), |(changes in prop::collection::vec(change(), 1..4))| {
        let other = changed(&token, &changes);
        if other == token {
            return Ok(());
        }
        match bench.verify(&other) {
            Err(_) => {}
            Ok(identity) => {
                prop_assert_eq!(Some(&other), spelled_otherwise.as_ref());
                prop_assert_eq!(&identity.token_id, &original.token_id);
            }
        }
    });
}

#[test]
fn p13_no_changed_es256_token_is_accepted() {
    no_changed_token_is_accepted(Algorithm::ES256, 2_000);
}

#[test]
fn p13_no_changed_eddsa_token_is_accepted() {
    no_changed_token_is_accepted(Algorithm::EdDSA, 2_000);
}

#[test]
fn p13_no_changed_rs256_token_is_accepted() {
    no_changed_token_is_accepted(Algorithm::RS256, 1_000);
}

#[test]
fn p13_any_single_bit_turned_over_is_refused() {
    let bench = Bench::new(Algorithm::ES256, still());
    let token = mint(&bench.key, &claims()).unwrap();
    for place in 0..token.len() {
        for bit in 0..7 {
            let mut bytes = token.clone().into_bytes();
            bytes[place] ^= 1 << bit;
            let other = String::from_utf8(bytes).unwrap();
            assert!(bench.verify(&other).is_err(), "bit {bit} of byte {place}");
        }
    }
}

#[test]
fn no_text_makes_the_verifier_panic() {
    let bench = Bench::new(Algorithm::ES256, still());
    proptest!(cases(2_000), |(text in "\\PC*", parts in prop::collection::vec("[A-Za-z0-9_-]{0,40}", 0..5))| {
        prop_assert!(bench.verify(&text).is_err());
        prop_assert!(bench.verify(&parts.join(".")).is_err());
    });
}

/// A JSON value for a claim, often a plausible one.
fn value(now: i64) -> impl Strategy<Value = Value> {
    let likely = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!("lychgate"),
        json!(ISSUER),
        json!(["lychgate"]),
        json!(["x", "lychgate"]),
        json!(["lychgate", 5]),
        json!({}),
        json!(now + 1000),
        json!(now - 1000),
        json!(now as f64 + 1000.5),
        json!("1"),
        json!("*"),
        json!(u64::MAX),
        json!(1e300),
        json!([]),
        json!(""),
        json!("a\u{0}b"),
        json!([ISSUER]),
    ];
    prop_oneof![4 => prop::sample::select(likely), 1 => any::<i64>().prop_map(Value::from), 1 => ".{0,8}".prop_map(Value::from)]
}

#[test]
fn p13_what_we_accept_the_jwt_crate_accepts_too() {
    let bench = Bench::new(Algorithm::EdDSA, Clock::system());
    let now = Clock::system().now().seconds();
    let name = prop::sample::select(vec![
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "accounts",
        "scope",
        "client_id",
        "azp",
    ]);
    let header = prop::sample::select(vec![
        json!({"typ": "JWT"}),
        json!({"typ": "x"}),
        json!({}),
        json!({"cty": "JWT"}),
        json!({"crit": ["x"]}),
        json!({"typ": 5}),
        json!({"jku": "https://a"}),
        json!({"zip": "x"}),
    ]);
    let accepted = std::cell::Cell::new(0);
    let over = prop::collection::vec((name, value(now)), 0..3);
    proptest!(cases(2_000), |(header in header, over in over, drop in prop::option::of(0..8usize))| {
        let mut header = header;
        header["alg"] = "EdDSA".into();
        let mut claims = json!({
            "iss": ISSUER, "sub": "s", "aud": "lychgate", "exp": now + 1000, "nbf": now - 5,
            "iat": now - 5, "accounts": "1", "scope": "a b",
        });
        for (name, value) in over {
            claims[name] = value;
        }
        if let Some(place) = drop {
            let name = claims.as_object().unwrap().keys().nth(place).unwrap().clone();
            claims.as_object_mut().unwrap().remove(&name);
        }
        let token = bench.key.sign(&header.to_string(), &claims.to_string()).unwrap();
        if bench.verify(&token).is_ok() {
            accepted.set(accepted.get() + 1);
            prop_assert!(crate_accepts(&token, &bench.key), "{header} {claims}");
        }
    });
    let accepted = accepted.get();
    assert!(accepted > 100, "the test has seen {accepted} good tokens");
}

#[test]
fn p13_the_jwt_crate_accepts_what_we_accept_of_every_algorithm() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new(algorithm, Clock::system());
        let now = Clock::system().now().seconds();
        let mut claims = with("exp", now + 1000);
        claims["nbf"] = (now - 5).into();
        claims["iat"] = (now - 5).into();
        let token = mint(&bench.key, &claims).unwrap();
        assert!(bench.verify(&token).is_ok(), "{algorithm:?}");
        assert!(crate_accepts(&token, &bench.key), "{algorithm:?}");
    }
}
