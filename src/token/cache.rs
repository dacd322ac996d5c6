//! A cache of verified tokens, so that the verifier checks each signature once and not on every
//! request.

use std::fmt;
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache as Inner;

use super::Identity;
use super::date::Window;

/// The maximum number of cached tokens.
const MAX_TOKENS: usize = 10_000;

/// The approximate maximum size of the cache in bytes; long tokens leave room for fewer entries.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The result of a verification and the state that it depends on.
#[derive(Clone)]
pub(super) struct Verdict {
    pub(super) identity: Arc<Identity>,
    /// Checked again on every hit.
    pub(super) window: Window,
    /// The index of the issuer.
    pub(super) issuer: usize,
    /// The generation of the key set when the check *began*. If another generation is in force now,
    /// the verdict no longer counts.
    pub(super) generation: u64,
}

/// Verdicts by the complete token, for accepted tokens only.
pub(super) struct Cache {
    inner: Inner<Box<str>, Verdict, Weight>,
}

/// Shows no token.
impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            inner: Inner::with_weighter(MAX_TOKENS, MAX_BYTES, Weight),
        }
    }

    pub(super) fn get(&self, token: &str) -> Option<Verdict> {
        self.inner.get(token)
    }

    pub(super) fn insert(&self, token: &str, verdict: Verdict) {
        self.inner.insert(token.into(), verdict);
    }

    /// Removes a verdict that will never count again.
    pub(super) fn remove(&self, token: &str) {
        self.inner.remove(token);
    }
}

/// The approximate bytes of a verdict, and at least its share of [`MAX_BYTES`], so that
/// [`MAX_TOKENS`] is a bound as well.
#[derive(Clone)]
struct Weight;

impl Weighter<Box<str>, Verdict> for Weight {
    fn weight(&self, token: &Box<str>, verdict: &Verdict) -> u64 {
        let listed = match &verdict.identity.accounts {
            super::Accounts::All => 0,
            super::Accounts::These(these) => these.len(),
        } + verdict.identity.scopes.len();
        // The texts of the identity are as long as the token's at most; each listed text adds a
        // header.
        let bytes = 256 + 2 * token.len() as u64 + 48 * listed as u64;
        bytes.max(MAX_BYTES.div_ceil(MAX_TOKENS as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Accounts, json};
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
                scopes: vec![String::new(); scopes],
                token_id: String::new(),
            }),
            window: Window::read(&claims, Duration::ZERO).unwrap(),
            issuer: 0,
            generation: 1,
        }
    }

    #[test]
    fn a_hit_shares_the_identity() {
        let cache = Cache::new();
        let one = verdict(0);
        cache.insert("t", one.clone());
        let hit = cache.get("t").unwrap();
        assert!(Arc::ptr_eq(&hit.identity, &one.identity));
        assert!(cache.get("T").is_none());
        cache.remove("t");
        assert!(cache.get("t").is_none());
    }

    #[test]
    fn the_number_of_tokens_is_bounded() {
        let cache = Cache::new();
        for number in 0..3 * MAX_TOKENS {
            cache.insert(&number.to_string(), verdict(0));
        }
        assert!(cache.inner.len() <= MAX_TOKENS, "{}", cache.inner.len());
        assert!(cache.inner.len() > MAX_TOKENS / 2);
    }

    #[test]
    fn long_tokens_and_long_lists_make_room_for_fewer() {
        let cache = Cache::new();
        for number in 0..2_000 {
            cache.insert(&format!("{number:08192}"), verdict(1_000));
        }
        assert!(cache.inner.weight() <= MAX_BYTES + (1 << 20));
        assert!(cache.inner.len() < 400, "{}", cache.inner.len());
    }

    #[test]
    fn p8_debug_shows_no_token() {
        let cache = Cache::new();
        cache.insert("secret-token", verdict(0));
        assert!(!format!("{cache:?}").contains("secret-token"));
    }
}
