//! A JWK set (RFC 7517 §5). The parser reads each key separately, so that one bad key does not
//! invalidate the set.

use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::Algorithm;
use super::jwk::Key;

/// The maximum size of a set in bytes.
pub(super) const MAX_SET_BYTES: usize = 256 * 1024;

/// The maximum number of keys in a set, usable or not.
const MAX_KEYS: usize = 100;

/// The maximum number of keys with the same `kid` and algorithm. Each of these keys can cost one
/// signature check per token.
const MAX_SAME_KEYS: usize = 2;

/// The usable keys of an issuer, at least one.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Parses a set and logs each key that it leaves out.
    pub(super) fn parse(bytes: &[u8], issuer: &str) -> Result<Self, String> {
        if bytes.len() > MAX_SET_BYTES {
            return Err("the key set is longer than 256 KiB".into());
        }
        let raw = raw_keys(bytes)?;
        let mut keys: Vec<Key> = Vec::new();
        let mut reasons = Vec::new();
        for (place, raw) in raw.iter().enumerate() {
            let taken = Key::parse(raw.get()).and_then(|key| add(&mut keys, key));
            if let Err(reason) = taken {
                tracing::warn!(
                    issuer,
                    key = place + 1,
                    reason,
                    "a key of the set is left out"
                );
                reasons.push(format!("key {} {reason}", place + 1));
            }
        }
        if keys.is_empty() {
            reasons.truncate(3);
            reasons.insert(0, "the key set holds no usable key".to_owned());
            return Err(reasons.join("; "));
        }
        Ok(Self { keys })
    }

    /// The keys that can have signed a token with this `kid` and algorithm, at most
    /// [`MAX_SAME_KEYS`] keys. If the token has no `kid`, the result is empty unless exactly one
    /// key fits the algorithm.
    pub(super) fn pick(&self, kid: Option<&str>, algorithm: Algorithm) -> Vec<&Key> {
        let fits = |key: &&Key| key.algorithms.contains(&algorithm);
        let fitting = self.keys.iter().filter(fits);
        match kid {
            Some(kid) => fitting
                .filter(|key| key.kid.as_deref() == Some(kid))
                .collect(),
            None => {
                let fitting: Vec<_> = fitting.take(2).collect();
                if fitting.len() == 1 {
                    fitting
                } else {
                    Vec::new()
                }
            }
        }
    }
}

/// Adds a key. For each algorithm, at most [`MAX_SAME_KEYS`] keys may share a `kid`.
fn add(keys: &mut Vec<Key>, key: Key) -> Result<(), &'static str> {
    let same = |one: &&Key| {
        one.kid == key.kid && one.algorithms.iter().any(|a| key.algorithms.contains(a))
    };
    if key.kid.is_some() && keys.iter().filter(same).count() >= MAX_SAME_KEYS {
        return Err("shares `kid` and algorithm with two keys before it");
    }
    keys.push(key);
    Ok(())
}

/// The outer object of a JWK set.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

fn raw_keys(bytes: &[u8]) -> Result<Vec<&RawValue>, String> {
    let no_object = || "the key set is not an object with one list `keys`".to_owned();
    // serde's derive would also accept a list for this struct.
    if bytes.trim_ascii_start().starts_with(b"[") {
        return Err(no_object());
    }
    let outer: Outer<'_> = serde_json::from_slice(bytes).map_err(|error| {
        match error.classify() {
            // The text of a syntax error gives a position and never the content.
            Category::Data => no_object(),
            _ => format!("the key set is not JSON: {error}"),
        }
    })?;
    if outer.keys.len() > MAX_KEYS {
        return Err("the key set holds more than 100 keys".into());
    }
    Ok(outer.keys)
}

#[cfg(test)]
mod tests;
