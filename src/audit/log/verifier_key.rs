//! The trail's public key: `name+hhhhhhhh+base64(01 || public key)` (C2SP signed-note).

use std::fmt;

use aws_lc_rs::signature::{ED25519 as ALGORITHM, UnparsedPublicKey};

use super::merkle::sha256;
use super::{hex, strict};

/// Why a key is unusable; never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KeyError(pub(crate) String);

/// The signature type byte of Ed25519.
pub(crate) const ED25519: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    origin: String,
    public: [u8; 32],
}

impl VerifierKey {
    pub(crate) fn new(origin: &str, public: [u8; 32]) -> Self {
        Self {
            origin: origin.to_owned(),
            public,
        }
    }

    /// Parses a verifier key; it may end in one line feed.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let form = || KeyError("not a verifier key of the form NAME+HASH+BASE64".into());
        // Base64 may contain `+`; the name and the id may not.
        let (name, rest) = line.split_once('+').ok_or_else(form)?;
        let (_, body) = rest.split_once('+').ok_or_else(form)?;
        if let Some(fault) = origin_fault(name) {
            return Err(KeyError(fault.into()));
        }
        let bytes = strict::base64(body).ok_or_else(form)?;
        let Ok([ED25519, public @ ..]) = <[u8; 33]>::try_from(bytes) else {
            return Err(KeyError("not an Ed25519 key".into()));
        };
        let key = Self::new(name, public);
        // Refuses every spelling except the canonical one, including that of the id.
        if key.to_string() != line {
            return Err(KeyError("the key's id does not fit the key".into()));
        }
        Ok(key)
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The key id: the first 4 bytes of SHA-256(name, line feed, 01, public key).
    pub fn id(&self) -> [u8; 4] {
        let hash = sha256(&[self.origin.as_bytes(), b"\n\x01", &self.public].concat());
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// Whether `line` (key id and signature) is this key's signature over the text.
    pub fn verify(&self, text: &[u8], line: &[u8]) -> bool {
        let Some((id, signature)) = line.split_at_checked(4) else {
            return false;
        };
        id == self.id()
            && UnparsedPublicKey::new(&ALGORITHM, self.public)
                .verify(text, signature)
                .is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut body = vec![ED25519];
        body.extend_from_slice(&self.public);
        let (id, body) = (hex(&self.id()), strict::encode(&body));
        write!(f, "{}+{id}+{body}", self.origin)
    }
}

/// Why a text cannot be an origin; `None` if it can.
pub(crate) fn origin_fault(origin: &str) -> Option<&'static str> {
    if origin.is_empty() || origin.len() > 255 {
        return Some("an origin has 1 to 255 bytes");
    }
    if !origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+') {
        return Some("an origin is visible ASCII without `+`");
    }
    // A checkpoint's signed text starts with the origin, and a receipt's with `lychgate-receipt`. With that
    // origin, one could pass for the other.
    (origin == "lychgate-receipt").then_some("an origin cannot be `lychgate-receipt`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::key::test_key;

    #[test]
    fn a_verifier_key_is_read_back() {
        let text = test_key().verifier().to_string();
        let key = VerifierKey::parse(&text).unwrap();
        assert_eq!(key.to_string(), text);
        assert_eq!(key, VerifierKey::parse(&format!("{text}\n")).unwrap());
    }

    #[test]
    fn p4_every_other_spelling_of_a_verifier_key_is_refused() {
        let text = test_key().verifier().to_string();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let bad = String::from_utf8(bytes).unwrap();
            assert!(VerifierKey::parse(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn p4_a_signature_holds_for_its_text_alone() {
        let key = test_key();
        let line = key.sign(b"text\n");
        assert!(key.verifier().verify(b"text\n", &line));
        assert!(!key.verifier().verify(b"test\n", &line));
        for bit in 0..line.len() * 8 {
            let mut bad = line.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verifier().verify(b"text\n", &bad), "bit {bit}");
        }
        assert!(!key.verifier().verify(b"text\n", b""));
    }

    #[test]
    fn an_origin_is_visible_ascii_without_plus() {
        assert_eq!(origin_fault("lychgate.example.com/edge-1"), None);
        for bad in [
            "",
            "a b",
            "a+b",
            "ä",
            "a\n",
            "lychgate-receipt",
            &"x".repeat(256),
        ] {
            assert!(origin_fault(bad).is_some(), "{bad:?}");
        }
    }
}
