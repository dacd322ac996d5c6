//! The results of verifying a receipt and a proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::audit::Receipt;
use crate::audit::log::merkle::Hash;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::verify::{Claim, ClaimCheck};

/// The result of verifying a receipt.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceiptReport {
    /// `ORIGIN/INDEX`.
    pub(crate) receipt: String,
    /// The key that verified it.
    pub(crate) verifier: String,
    /// Whether that key signed it.
    pub(crate) genuine: bool,
    /// Whether the trail or the proof bears the receipt out. `None` if neither was checked.
    pub(crate) borne_out: Option<bool>,
    /// How it does, or why it does not.
    pub(crate) what: Option<String>,
}

impl ReceiptReport {
    /// Verifies a receipt's signature. Returns the receipt's claim if it is genuine.
    pub(super) fn judge(receipt: &Receipt, verifier: &VerifierKey) -> (Self, Option<Claim>) {
        let claim = receipt
            .verify(verifier)
            .map(|(index, leaf)| Claim { index, leaf });
        let report = Self {
            receipt: receipt.receipt.clone(),
            verifier: verifier.to_string(),
            genuine: claim.is_some(),
            borne_out: None,
            what: None,
        };
        (report, claim)
    }

    /// Adds whether the log or the proof bears the claim out.
    pub(super) fn add_check(&mut self, check: ClaimCheck) {
        let (borne_out, what) = match check {
            ClaimCheck::Closing(index) => {
                (true, format!("entry {index} is the closing entry it names"))
            }
            ClaimCheck::Intent => (true, "it names the intent".into()),
            ClaimCheck::NotBorneOut(why) => (false, why),
        };
        self.borne_out = Some(borne_out);
        self.what = Some(what);
    }
}

/// The content of a proof that holds.
#[derive(Clone, Debug)]
pub(super) struct ProofReport {
    /// The entry's index.
    pub(crate) index: u64,
    /// The size in the proof's checkpoint.
    pub(crate) size: u64,
    /// The entry's leaf hash.
    pub(crate) hash: Hash,
    /// The entry's bytes, if the proof holds them.
    pub(crate) entry: Option<Vec<u8>>,
}

/// The proof in the output of `--json`.
#[derive(Serialize)]
pub(super) struct ProofJson<'r> {
    index: u64,
    size: u64,
    leaf: String,
    /// `None` also if the entry is not JSON.
    entry: Option<&'r RawValue>,
}

impl ProofReport {
    /// The entry's leaf hash in base64.
    pub(super) fn leaf(&self) -> String {
        STANDARD.encode(self.hash)
    }

    pub(super) fn json(&self) -> ProofJson<'_> {
        let entry = self.entry.as_deref();
        ProofJson {
            index: self.index,
            size: self.size,
            leaf: self.leaf(),
            entry: entry.and_then(|entry| serde_json::from_slice(entry).ok()),
        }
    }
}
