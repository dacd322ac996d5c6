//! A cache of verified tokens, so that the verifier checks each signature once and not on every
//! request.

use std::sync::Arc;

use quick_cache::Weighter;

use super::Identity;
use super::date::Window;

/// The maximum number of cached tokens.
const MAX_TOKENS: usize = 10_000;

/// The approximate maximum size of the cache in bytes. The longer the tokens, the fewer fit.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The result of a successful verification and the state that the result depends on.
#[derive(Clone)]
pub(super) struct Verdict {
    pub(super) identity: Arc<Identity>,
    /// The token's validity window. On every hit, the verifier checks the window against the clock.
    pub(super) window: Window,
    /// The index of the issuer in the verifier's list.
    pub(super) issuer: usize,
    /// The generation of the key set at the *start* of the verification. If another generation is
    /// in force at a later look-up, the verifier ignores this verdict.
    pub(super) generation: u64,
}

/// Maps each accepted token, in full, to its verdict. The cache's `Debug` output shows no token.
pub(super) type Cache = quick_cache::sync::Cache<Box<str>, Verdict, Weight>;

pub(super) fn new() -> Cache {
    Cache::with_weighter(MAX_TOKENS, MAX_BYTES, Weight)
}

/// Computes the weight of a verdict: its approximate size in bytes, but at least
/// `MAX_BYTES / MAX_TOKENS`. With this minimum, the cache never holds more than [`MAX_TOKENS`]
/// tokens.
#[derive(Clone)]
pub(super) struct Weight;

impl Weighter<Box<str>, Verdict> for Weight {
    fn weight(&self, token: &Box<str>, verdict: &Verdict) -> u64 {
        let listed = match &verdict.identity.accounts {
            super::Accounts::All => 0,
            super::Accounts::These(these) => these.len(),
            super::Accounts::Missing(_) => 1,
        } + match &verdict.identity.scopes {
            super::Scopes::These(these) => these.len(),
            super::Scopes::Missing(_) => 1,
        };
        // All strings of the identity together are at most as long as the token. Each string of a
        // list also needs a `String` header.
        let bytes = 256 + 2 * token.len() as u64 + 48 * listed as u64;
        bytes.max(MAX_BYTES.div_ceil(MAX_TOKENS as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accounts, Scopes, json};
    use super::*;
    use std::time::Duration;

    fn verdict(scopes: usize) -> Verdict {
        let claims = json::object(b"{\"exp\":1}").unwrap();
        Verdict {
            identity: Arc::new(Identity {
                issuer: String::new(),
                subject: String::new(),
                client: None,
                accounts: Accounts::All,
                scopes: Scopes::These(vec![String::new(); scopes]),
                token_id: String::new(),
            }),
            window: Window::read(&claims, Duration::ZERO).unwrap(),
            issuer: 0,
            generation: 1,
        }
    }

    #[test]
    fn a_hit_shares_the_identity() {
        let cache = new();
        let one = verdict(0);
        cache.insert("t".into(), one.clone());
        let hit = cache.get("t").unwrap();
        assert!(Arc::ptr_eq(&hit.identity, &one.identity));
        assert!(cache.get("T").is_none());
        cache.remove("t");
        assert!(cache.get("t").is_none());
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let cache = new();
        for number in 0..3 * MAX_TOKENS {
            cache.insert(number.to_string().into(), verdict(0));
        }
        assert!(cache.len() <= MAX_TOKENS, "{}", cache.len());
        assert!(cache.len() > MAX_TOKENS / 2);
    }

    #[test]
    fn long_tokens_and_long_lists_make_room_for_fewer() {
        let cache = new();
        for number in 0..2_000 {
            cache.insert(format!("{number:08192}").into(), verdict(1_000));
        }
        assert!(cache.weight() <= MAX_BYTES + (1 << 20));
        assert!(cache.len() < 400, "{}", cache.len());
    }

    #[test]
    fn p8_debug_shows_no_token() {
        let cache = new();
        cache.insert("secret-token".into(), verdict(0));
        assert!(!format!("{cache:?}").contains("secret-token"));
    }
}
