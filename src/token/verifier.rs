//! Verifies a token (form, algorithm, key, signature, claims) and caches the verdict.

use std::sync::Arc;

use super::cache::{self, Cache, Verdict};
use super::compact::{Compact, MAX_TOKEN_BYTES};
use super::keys::{Current, Keys, Pace};
use super::{Denial, Identity, IssuerSettings, claims};
use crate::clock::{Clock, Time};
use crate::fetch::Fetch;
use crate::metrics::Metrics;

/// Verifies the tokens of every configured issuer. Dropping the verifier stops the background tasks
/// that read keys.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    cache: Cache,
    clock: Clock,
    metrics: Metrics,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keys: Keys,
}

impl Verifier {
    /// Reads key files at once and fetches key URLs in the background. Takes over an issuer's key
    /// set from `previous` if the source of the keys is the same. The caller must be within a tokio
    /// runtime.
    ///
    /// # Errors
    /// Returns the file and the reason if a `jwks_file` is unreadable or holds no usable key.
    pub fn new(
        issuers: &[IssuerSettings],
        previous: Option<&Verifier>,
        fetch: Fetch,
        clock: Clock,
        metrics: Metrics,
    ) -> Result<Self, String> {
        Self::with_pace(issuers, previous, &fetch, clock, metrics, Pace::default())
    }

    fn with_pace(
        issuers: &[IssuerSettings],
        previous: Option<&Verifier>,
        fetch: &Fetch,
        clock: Clock,
        metrics: Metrics,
        pace: Pace,
    ) -> Result<Self, String> {
        let before = previous.map_or(&[][..], |previous| &previous.issuers);
        let issuers = issuers.iter().map(|settings| {
            let (issuer, source) = (&settings.issuer, &settings.keys);
            let seed = before.iter().map(|one| &one.keys);
            let seed = seed.into_iter().find(|keys| keys.are_of(issuer, source));
            Keys::new(
                issuer,
                source,
                seed,
                fetch.clone(),
                metrics.clone(),
                clock.clone(),
                pace,
            )
            .map(|keys| Issuer {
                settings: settings.clone(),
                keys,
            })
            .map_err(|why| format!("issuer {issuer}: {why}"))
        });
        Ok(Self {
            issuers: issuers.collect::<Result<_, _>>()?,
            cache: cache::new(),
            clock,
            metrics,
        })
    }

    /// Verifies a compact JWS (RFC 7519 §7.2). Never waits.
    ///
    /// If a token fails several checks, the error names the first failed check in this order: size,
    /// form, header (type before algorithm), issuer, allowed algorithm, available key set, known
    /// key, signature, binding, forms of the claims, audience, expiry, start of validity. Before
    /// the signature check, the verifier uses no claim except `iss`, which it needs to find the
    /// keys.
    ///
    /// # Errors
    /// Returns why the token is denied.
    pub fn verify(&self, token: &str) -> Result<Arc<Identity>, Denial> {
        if let Some(verdict) = self.remembered(token) {
            return self.judge_again(token, verdict);
        }
        let compact = Compact::parse(token)?;
        let named = claims::issuer(&compact.claims).ok_or(Denial::Issuer)?;
        let mut issuers = self.issuers.iter().enumerate();
        let (place, issuer) = issuers
            .find(|(_, one)| one.settings.issuer == named)
            .ok_or(Denial::Issuer)?;
        if !issuer
            .settings
            .algorithms
            .contains(&compact.header.algorithm)
        {
            return Err(Denial::Algorithm);
        }
        let current = issuer.keys.current();
        let current = current.as_ref().ok_or_else(|| {
            let trouble = issuer.keys.trouble();
            let why = trouble.map_or_else(String::new, |(why, _)| why);
            Denial::KeysUnavailable(format!("issuer {}: {why}", issuer.settings.issuer))
        })?;
        self.check_signature(issuer, current, &compact)?;
        let judged = claims::judge(&compact.claims, &issuer.settings, compact.signing_input)?;
        judged.window.judge(self.clock.now())?;
        let identity = Arc::new(judged.identity);
        let verdict = Verdict {
            identity: Arc::clone(&identity),
            window: judged.window,
            issuer: place,
            generation: current.generation,
        };
        self.cache.insert(token.into(), verdict);
        Ok(identity)
    }

    /// Lists the issuers for `/readyz?verbose`. If there is a problem with an issuer's keys, the
    /// second field holds the text of the problem and the time at which the problem began.
    #[must_use]
    pub fn health(&self) -> Vec<(String, Option<(String, Time)>)> {
        self.issuers
            .iter()
            .map(|one| (one.settings.issuer.clone(), one.keys.trouble()))
            .collect()
    }

    /// What the operator's log should say about a denial that may be the gateway's own fault: its clock is
    /// wrong, or it has old keys. The caller must not see the text. `None` for any other denial.
    #[must_use]
    pub fn operator_hint(&self, denial: &Denial) -> Option<String> {
        match denial {
            Denial::KeysUnavailable(why) => Some(why.clone()),
            Denial::Expired | Denial::NotYetValid => {
                Some(format!("the gateway's clock shows {}", self.clock.now()))
            }
            Denial::KeyUnknown => {
                let health = self.health().into_iter();
                let troubles: Vec<_> = health
                    .filter_map(|(issuer, trouble)| {
                        Some(format!("issuer {issuer}: {}", trouble?.0))
                    })
                    .collect();
                let ages = self.issuers.iter().filter_map(|one| one.keys.age());
                let oldest = ages.max().unwrap_or_default().as_secs();
                Some(match troubles.is_empty() {
                    true => format!(
                        "each key set was read without trouble, the oldest {oldest} s ago; such a token causes another fetch of `jwks_url`, at most every 30 s"
                    ),
                    false => troubles.join("; "),
                })
            }
            _ => None,
        }
    }

    /// The cached verdict on a token. Returns `None` if the cache has no verdict, or if another key
    /// set has come into force since the verification.
    fn remembered(&self, token: &str) -> Option<Verdict> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let verdict = self.cache.get(token)?;
        let current = self.issuers.get(verdict.issuer)?.keys.current();
        let generation = current.as_ref()?.generation;
        (generation == verdict.generation).then_some(verdict)
    }

    fn judge_again(&self, token: &str, verdict: Verdict) -> Result<Arc<Identity>, Denial> {
        self.metrics.token_cache_hits.inc();
        match verdict.window.judge(self.clock.now()) {
            Ok(()) => Ok(verdict.identity),
            Err(why) => {
                self.cache.remove(token);
                Err(why)
            }
        }
    }

    fn check_signature(
        &self,
        issuer: &Issuer,
        current: &Current,
        token: &Compact<'_>,
    ) -> Result<(), Denial> {
        let kid = token.header.kid.as_deref();
        let keys = current.set.pick(kid, token.header.algorithm);
        if keys.is_empty() {
            issuer.keys.ask();
            return Err(Denial::KeyUnknown);
        }
        self.metrics.token_cache_misses.inc();
        let algorithm = token.header.algorithm.jwt();
        let signed = keys.iter().any(|key| {
            let input = token.signing_input.as_bytes();
            jsonwebtoken::crypto::verify(token.signature, input, &key.decoding, algorithm)
                .unwrap_or(false)
        });
        if signed {
            return Ok(());
        }
        if kid.is_none() {
            // Without a `kid`, a token that a new key signed looks like one with a wrong signature.
            issuer.keys.ask();
        }
        Err(Denial::Signature)
    }
}

#[cfg(test)]
mod tests;
