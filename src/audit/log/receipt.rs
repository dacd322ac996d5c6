//! The signed receipt for a deletion that was sent to the origin.
//!
//! The signed text has three lines, each with a line feed: `lychgate-receipt`, `ORIGIN/INDEX` and
//! the leaf in base64. The first line ensures that no receipt is valid as a checkpoint.

use super::key::{Key, VerifierKey};
use super::merkle::Hash;
use super::{from_base64, hash_from_base64, parse_number, to_base64};

/// The values of the three receipt headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// `lychgate-receipt`: `ORIGIN/INDEX`. The index is that of the intent, or of its first part if
    /// the intent was split.
    pub receipt: String,
    /// `lychgate-receipt-leaf`: base64 of the RFC 6962 leaf hash of the closing entry, or of the
    /// intent if the outcome is not on record.
    pub leaf: String,
    /// `lychgate-receipt-signature`: base64 of key id (4 bytes) and Ed25519 signature (64 bytes).
    pub signature: String,
}

impl Receipt {
    /// Signs a receipt for a deletion. `index` is that of the intent, or of its first part if the
    /// intent was split.
    pub fn sign(key: &Key, index: u64, leaf: &Hash) -> Self {
        let receipt = format!("{}/{index}", key.origin());
        let leaf = to_base64(leaf);
        let signature = to_base64(&key.sign(signed_text(&receipt, &leaf).as_bytes()));
        Self {
            receipt,
            leaf,
            signature,
        }
    }

    /// Verifies a receipt and returns its index and leaf hash. Returns `None` if this key did not
    /// sign the receipt, or if [`Self::sign`] would spell a field differently.
    pub fn verify(&self, key: &VerifierKey) -> Option<(u64, Hash)> {
        let (origin, digits) = self.receipt.rsplit_once('/')?;
        let index = parse_number(digits)?;
        if origin != key.origin() {
            return None;
        }
        let leaf = hash_from_base64(&self.leaf)?;
        let line = from_base64(&self.signature)?;
        let text = signed_text(&self.receipt, &self.leaf);
        key.verify(text.as_bytes(), &line).then_some((index, leaf))
    }
}

fn signed_text(receipt: &str, leaf: &str) -> String {
    format!("lychgate-receipt\n{receipt}\n{leaf}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::key::test_key;
    use crate::audit::log::merkle::leaf;

    #[test]
    fn p5_a_receipt_names_its_index_and_leaf() {
        let key = test_key();
        let receipt = Receipt::sign(&key, 42, &leaf(b"entry"));
        assert_eq!(receipt.receipt, "lychgate.test/log/42");
        assert_eq!(receipt.verify(key.verifier()), Some((42, leaf(b"entry"))));
    }

    #[test]
    fn p5_a_receipt_with_anything_changed_is_not_genuine() {
        let key = test_key();
        let good = Receipt::sign(&key, 42, &leaf(b"entry"));
        let other = Receipt::sign(&key, 43, &leaf(b"other"));
        let mixed = [
            Receipt {
                receipt: other.receipt.clone(),
                ..good.clone()
            },
            Receipt {
                leaf: other.leaf.clone(),
                ..good.clone()
            },
            Receipt {
                signature: other.signature,
                ..good.clone()
            },
            Receipt {
                receipt: "lychgate.test/log/042".into(),
                ..good.clone()
            },
            Receipt {
                receipt: "lychgate.test/log".into(),
                ..good.clone()
            },
            Receipt {
                leaf: good.leaf.replace('=', ""),
                ..good.clone()
            },
        ];
        for bad in mixed {
            assert_eq!(bad.verify(key.verifier()), None, "{bad:?}");
        }
        let stranger = Key::generate("lychgate.test/log").unwrap();
        assert_eq!(good.verify(stranger.verifier()), None);
    }
}
