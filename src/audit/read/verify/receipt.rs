//! Checks a receipt against the trail.

use crate::audit::entry::{EntryHead, EntrySummary};
use crate::audit::log::merkle::Hash;
use crate::audit::log::to_base64;

/// The claim of a receipt: the index of the intent (or of its first part), and a leaf hash. The
/// hash is that of the closing entry or of the intent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) index: u64,
    pub(crate) leaf: Hash,
}

impl Claim {
    /// Compares the claim with a verified proof. The proof shows that an entry with the hash `leaf`
    /// is at `index`; `entry` holds that entry's bytes if the proof has them. Returns how the proof
    /// confirms the claim, or why it does not.
    pub(crate) fn by_proof(
        &self,
        index: u64,
        leaf: &Hash,
        entry: Option<&[u8]>,
    ) -> Result<String, String> {
        if *leaf != self.leaf {
            return match entry.is_some_and(|entry| self.is_named_by(entry)) {
                true => Ok(format!("it names the intent, which entry {index} closes")),
                false => Err(format!(
                    "the proof is of entry {index}, which has another leaf hash than the receipt"
                )),
            };
        }
        if entry.is_some_and(|entry| !self.concerns(index, entry)) {
            return Err(format!(
                "entry {index} is neither entry {} nor what closes it",
                self.index
            ));
        }
        Ok(self.confirmed_by(index))
    }

    /// Whether `entry` closes the claimed intent, and gives the claim's leaf hash as the leaf hash
    /// of that intent.
    fn is_named_by(&self, entry: &[u8]) -> bool {
        match EntryHead::decode(entry).map(|head| head.summary) {
            Ok(EntrySummary::Outcome(closing)) if closing.intent == self.index => {
                let first = closing.leaves.first();
                first.is_some_and(|first| *first == to_base64(&self.leaf))
            }
            _ => false,
        }
    }

    /// Whether an entry is the claimed intent or closes that intent.
    fn concerns(&self, index: u64, entry: &[u8]) -> bool {
        match EntryHead::decode(entry).map(|head| head.summary) {
            Ok(EntrySummary::Intent(_)) => index == self.index,
            Ok(EntrySummary::Outcome(outcome)) => outcome.intent == self.index,
            _ => false,
        }
    }

    fn confirmed_by(&self, index: u64) -> String {
        match index == self.index {
            true => "it names the intent".into(),
            false => format!("entry {index} is the closing entry it names"),
        }
    }
}

/// Checks a claim against the entries that [`super::check`] verifies, in one pass.
#[derive(Debug)]
pub(crate) struct Finding {
    claim: Claim,
    /// How the entries so far confirm the claim, or why they do not.
    pub(crate) result: Result<String, String>,
}

impl Finding {
    pub(crate) fn new(claim: Claim) -> Self {
        let result = Err(format!("the trail ends before entry {}", claim.index));
        Self { claim, result }
    }

    pub(crate) fn push(&mut self, index: u64, entry: &[u8], leaf: &Hash) {
        let intent = self.claim.index;
        if index < intent || self.result.is_ok() {
            return;
        }
        self.result = match (self.claim.concerns(index, entry), index == intent) {
            (true, _) if *leaf == self.claim.leaf => Ok(self.claim.confirmed_by(index)),
            (true, true) => Err(format!(
                "the leaf is not that of entry {intent}, and no entry closes it"
            )),
            (true, false) => Err(format!(
                "the leaf is neither that of entry {intent} nor that of entry {index}, which closes it"
            )),
            (false, true) => Err(format!("entry {intent} is not an intent")),
            (false, false) => return,
        };
    }
}

/// Parses the text of a receipt, `ORIGIN/INDEX`.
pub(crate) fn parse_receipt(text: &str) -> Result<(&str, u64), String> {
    let (origin, index) = text
        .rsplit_once('/')
        .ok_or("a receipt is ORIGIN/INDEX, as in the header lychgate-receipt")?;
    let number: u64 = index
        .parse()
        .map_err(|_| format!("`{index}` is not an index"))?;
    if origin.is_empty() || number.to_string() != index {
        return Err("a receipt is ORIGIN/INDEX, the index without sign or leading zeros".into());
    }
    Ok((origin, number))
}

#[cfg(test)]
mod tests {
    use super::super::sample::sound;
    use super::*;
    use crate::audit::log::merkle::leaf;

    fn result(index: u64, leaf_hash: Hash) -> Result<String, String> {
        let mut finding = Finding::new(Claim {
            index,
            leaf: leaf_hash,
        });
        for (index, bytes) in sound().iter().enumerate() {
            finding.push(index as u64, bytes, &leaf(bytes));
        }
        finding.result
    }

    #[test]
    fn p5_the_closing_entrys_leaf_bears_it_out() {
        assert_eq!(
            result(1, leaf(&sound()[5])),
            Ok("entry 5 is the closing entry it names".into())
        );
    }

    #[test]
    fn p5_the_intents_own_leaf_bears_it_out() {
        assert_eq!(
            result(1, leaf(&sound()[1])),
            Ok("it names the intent".into())
        );
        assert_eq!(
            result(6, leaf(&sound()[6])),
            Ok("it names the intent".into())
        );
    }

    #[test]
    fn p5_a_leaf_of_another_entry_does_not() {
        let why = result(1, leaf(&sound()[3])).unwrap_err();
        assert!(why.contains("neither"), "{why}");
    }

    #[test]
    fn p5_a_receipt_beyond_the_end_is_evidence_of_a_rolled_back_log() {
        let why = result(99, [0; 32]).unwrap_err();
        assert!(why.contains("ends before entry 99"), "{why}");
    }

    #[test]
    fn p5_an_entry_that_is_no_intent_bears_out_nothing() {
        assert!(result(4, leaf(&sound()[4])).is_err());
        assert!(result(6, [0; 32]).is_err());
    }

    #[test]
    fn p5_the_proof_of_the_closing_entry_bears_out_either_leaf() {
        let entries = sound();
        let by = |index, leaf_hash, proved: usize| {
            let claim = Claim {
                index,
                leaf: leaf_hash,
            };
            let entry = &entries[proved];
            claim.by_proof(proved as u64, &leaf(entry), Some(entry))
        };
        assert!(by(1, leaf(&entries[5]), 5).is_ok());
        assert!(by(1, leaf(&entries[1]), 5).is_ok());
        for (index, leaf_hash, proved) in [
            (2, leaf(&entries[1]), 5),
            (1, leaf(&entries[2]), 5),
            (1, leaf(&entries[1]), 3),
            (1, leaf(&entries[5]), 1),
        ] {
            assert!(by(index, leaf_hash, proved).is_err(), "{index} {proved}");
        }
    }

    #[test]
    fn p5_a_receipt_is_an_origin_and_an_index() {
        assert_eq!(
            parse_receipt("gate.example/edge-1/42"),
            Ok(("gate.example/edge-1", 42))
        );
        for bad in ["42", "/42", "o/", "o/042", "o/+1", "o/-1", "o/x"] {
            assert!(parse_receipt(bad).is_err(), "{bad}");
        }
    }
}
