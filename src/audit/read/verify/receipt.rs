//! Checks a receipt against the trail.

use crate::audit::entry::{EntryHead, EntrySummary};

/// The claim of a receipt: the index of the (first) intent, and the leaf hash of its closing entry
/// or of the intent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The index of the (first) intent.
    pub(crate) index: u64,
    /// The leaf hash.
    pub(crate) leaf: [u8; 32],
}

/// The result of checking a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimCheck {
    /// The leaf is that of the entry with this index, which closes the deletion.
    Closing(u64),
    /// The leaf is the intent's.
    Intent,
    /// The trail contradicts the claim or does not confirm it, with the reason.
    NotBorneOut(String),
}

/// Finds the entries of a claim in a pass over all entries.
#[derive(Debug)]
pub(crate) struct Finding {
    claim: Claim,
    seen: Option<Seen>,
    closing: Option<(u64, bool)>,
}

#[derive(Debug)]
enum Seen {
    Intent { same_leaf: bool },
    Other,
}

impl Finding {
    /// Checks this claim.
    pub(crate) fn new(claim: Claim) -> Self {
        Self {
            claim,
            seen: None,
            closing: None,
        }
    }

    /// Takes the next entry.
    pub(crate) fn push(&mut self, index: u64, entry: &[u8], leaf: &[u8; 32]) {
        if index < self.claim.index {
            return;
        }
        let same_leaf = *leaf == self.claim.leaf;
        let summary = EntryHead::decode(entry).map(|head| head.summary);
        match summary {
            Ok(EntrySummary::Intent(_)) if index == self.claim.index => {
                self.seen = Some(Seen::Intent { same_leaf });
            }
            Ok(EntrySummary::Outcome(outcome)) if outcome.intent == self.claim.index => {
                self.closing = Some((index, same_leaf));
            }
            _ if index == self.claim.index => self.seen = Some(Seen::Other),
            _ => {}
        }
    }

    /// The result, at the end of the trail.
    pub(crate) fn standing(&self) -> ClaimCheck {
        let index = self.claim.index;
        let no = |why: String| ClaimCheck::NotBorneOut(why);
        match (&self.seen, self.closing) {
            (Some(Seen::Intent { same_leaf: true }), _) => ClaimCheck::Intent,
            (Some(Seen::Intent { .. }), Some((closing, true))) => ClaimCheck::Closing(closing),
            (Some(Seen::Intent { .. }), Some((closing, false))) => no(format!(
                "the leaf is neither that of entry {index} nor that of entry {closing}, which closes it"
            )),
            (Some(Seen::Intent { .. }), None) => no(format!(
                "the leaf is not that of entry {index}, and no entry closes it"
            )),
            (Some(Seen::Other), _) => no(format!("entry {index} is not an intent")),
            (None, _) => no(format!("the trail ends before entry {index}")),
        }
    }
}

impl Claim {
    /// The result of a valid proof that an entry with this leaf hash has this index. Also checks
    /// the entry's kind if the proof contains its bytes.
    pub(crate) fn by_proof(&self, index: u64, leaf: &[u8; 32], entry: Option<&[u8]>) -> ClaimCheck {
        let no = |why: String| ClaimCheck::NotBorneOut(why);
        if *leaf != self.leaf {
            return no(format!(
                "the proof is of entry {index}, which has another leaf hash than the receipt"
            ));
        }
        let summary = entry.map(|entry| EntryHead::decode(entry).map(|head| head.summary));
        match summary {
            Some(Ok(EntrySummary::Intent(_))) | None if index == self.index => ClaimCheck::Intent,
            Some(Ok(EntrySummary::Outcome(outcome))) if outcome.intent == self.index => {
                ClaimCheck::Closing(index)
            }
            None => ClaimCheck::Closing(index),
            Some(_) => no(format!(
                "entry {index} is neither entry {} nor what closes it",
                self.index
            )),
        }
    }
}

/// Parses `ORIGIN/INDEX`.
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

    fn standing(index: u64, leaf_hash: [u8; 32]) -> ClaimCheck {
        let mut finding = Finding::new(Claim {
            index,
            leaf: leaf_hash,
        });
        for (index, bytes) in sound().iter().enumerate() {
            finding.push(index as u64, bytes, &leaf(bytes));
        }
        finding.standing()
    }

    #[test]
    fn p5_the_closing_entrys_leaf_bears_it_out() {
        assert_eq!(standing(1, leaf(&sound()[5])), ClaimCheck::Closing(5));
    }

    #[test]
    fn p5_the_intents_own_leaf_bears_it_out() {
        assert_eq!(standing(1, leaf(&sound()[1])), ClaimCheck::Intent);
        assert_eq!(standing(6, leaf(&sound()[6])), ClaimCheck::Intent);
    }

    #[test]
    fn p5_a_leaf_of_another_entry_does_not() {
        let ClaimCheck::NotBorneOut(why) = standing(1, leaf(&sound()[3])) else {
            panic!("borne out by another deletion's outcome");
        };
        assert!(why.contains("neither"), "{why}");
    }

    #[test]
    fn p5_a_receipt_beyond_the_end_is_evidence_of_a_rolled_back_log() {
        let ClaimCheck::NotBorneOut(why) = standing(99, [0; 32]) else {
            panic!("borne out by nothing");
        };
        assert!(why.contains("ends before entry 99"), "{why}");
    }

    #[test]
    fn p5_an_entry_that_is_no_intent_bears_out_nothing() {
        assert!(matches!(
            standing(4, leaf(&sound()[4])),
            ClaimCheck::NotBorneOut(_)
        ));
        assert!(matches!(standing(6, [0; 32]), ClaimCheck::NotBorneOut(_)));
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
