//! Cached verdicts, and when they stop counting.

use super::*;

async fn until(what: impl Fn() -> bool) {
    for _ in 0..24_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the condition did not come true");
}

fn write(fixture: &Fixture, key: &Key) {
    std::fs::write(&fixture.path, key.public_jwks()).unwrap();
}

#[tokio::test]
async fn a_token_s_signature_is_checked_once() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    let first = fixture.verify(&token).unwrap();
    let second = fixture.verify(&token).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(fixture.metrics.token_cache_misses.get(), 1);
    assert_eq!(fixture.metrics.token_cache_hits.get(), 1);
}

#[tokio::test]
async fn expiry_is_judged_at_every_hit() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &with("exp", NOW + 10)).unwrap();
    fixture.verify(&token).unwrap();
    fixture.clock.advance(Duration::from_micros(9_999_999));
    assert!(fixture.verify(&token).is_ok());
    fixture.clock.advance(Duration::from_micros(1));
    assert_eq!(fixture.verify(&token), Err(Denial::Expired));
    assert!(fixture.verifier.remembered(&token).is_none(), "forgotten");
    assert_eq!(fixture.verify(&token), Err(Denial::Expired));
}

#[tokio::test]
async fn nbf_is_checked_at_every_hit_after_the_clock_goes_back() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    fixture.verify(&token).unwrap();
    fixture.clock.set(Time((NOW - 1) * 1_000_000));
    assert_eq!(fixture.verify(&token), Err(Denial::NotYetValid));
}

#[tokio::test]
async fn only_verified_tokens_are_remembered() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let good = mint(&key, &claims()).unwrap();
    let other = mint(&es256(), &claims()).unwrap();
    let early = mint(&key, &with("nbf", NOW + 60)).unwrap();
    let flipped = format!("{}AAAA", &good[..good.len() - 4]);
    for token in [&other, &early, &flipped] {
        assert!(fixture.verify(token).is_err());
        assert!(fixture.verifier.cache.get(token.as_str()).is_none());
    }
    fixture.clock.advance(Duration::from_secs(60));
    assert!(fixture.verify(&early).is_ok(), "a denial is not remembered");
}

#[tokio::test]
async fn a_cached_token_of_a_removed_key_is_refused() {
    let (old, new) = (es256(), es256());
    let fixture = Fixture::new(&[&old], &[Algorithm::ES256]);
    let token = mint(&old, &claims()).unwrap();
    fixture.verify(&token).unwrap();
    write(&fixture, &new);
    until(|| fixture.verify(&token) == Err(Denial::KeyUnknown)).await;
    let token = mint(&new, &claims()).unwrap();
    assert!(fixture.verify(&token).is_ok());
}

#[tokio::test]
async fn a_verdict_of_the_old_keys_does_not_count_under_the_new() {
    let (old, new) = (es256(), es256());
    let fixture = Fixture::new(&[&old], &[Algorithm::ES256]);
    let token = mint(&old, &claims()).unwrap();
    fixture.verify(&token).unwrap();
    // A slow check: its verdict is from before the change and is stored after it.
    let late = fixture.verifier.remembered(&token).unwrap();
    write(&fixture, &new);
    until(|| fixture.verifier.remembered(&token).is_none()).await;
    fixture.verifier.cache.insert(token.as_str().into(), late);
    assert_eq!(fixture.verify(&token), Err(Denial::KeyUnknown));
}

#[tokio::test]
async fn a_reload_with_other_rules_forgets_what_the_old_ones_allowed() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    fixture.verify(&token).unwrap();
    let mut stricter = fixture.settings.clone();
    stricter.audience = vec!["else".into()];
    let (clock, metrics) = (&fixture.clock, &fixture.metrics);
    let reloaded = open(&[stricter], Some(&fixture.verifier), clock, metrics).unwrap();
    assert_eq!(reloaded.verify(&token), Err(Denial::Audience));
    assert!(
        fixture.verify(&token).is_ok(),
        "requests in flight end in the old one"
    );
}

#[tokio::test]
async fn p10_a_reload_keeps_the_keys_of_an_issuer_whose_file_is_gone() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    std::fs::remove_file(&fixture.path).unwrap();
    let issuers = [fixture.settings.clone()];
    let (clock, metrics) = (&fixture.clock, &fixture.metrics);
    assert!(open(&issuers, None, clock, metrics).is_err());
    let reloaded = open(&issuers, Some(&fixture.verifier), clock, metrics).unwrap();
    assert!(reloaded.verify(&token).is_ok());
    let (trouble, _) = reloaded.health().remove(0).1.unwrap();
    assert!(trouble.contains("cannot be read"), "{trouble}");
}

#[tokio::test]
async fn p8_debug_of_a_verifier_shows_no_token_and_no_key() {
    let key = es256();
    let fixture = Fixture::new(&[&key], &[Algorithm::ES256]);
    let token = mint(&key, &claims()).unwrap();
    fixture.verify(&token).unwrap();
    let shown = format!("{:?}", fixture.verifier);
    for part in token.split('.') {
        assert!(!shown.contains(part));
    }
    assert!(!shown.contains(key.public_jwk()["x"].as_str().unwrap()));
}
