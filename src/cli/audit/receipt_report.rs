//! What was found of a receipt and of a proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::audit::Receipt;
use crate::audit::log::merkle::Hash;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::verify::{Claim, PublishedLogCheck};

/// What was found of a receipt.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceiptReport {
    /// `ORIGIN/INDEX`.
    pub receipt: String,
    /// The key it was judged by.
    pub verifier: String,
    /// Whether that key signed it.
    pub genuine: bool,
    /// Whether the trail, or the proof given, bears it out; `None` where that was not looked at.
    pub borne_out: Option<bool>,
    /// How, or why not.
    pub what: Option<String>,
}

impl ReceiptReport {
    /// Judges a receipt's signature; what it claims, where it is genuine.
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

    /// Adds what the trail says of its claim.
    pub(super) fn stand(&mut self, standing: PublishedLogCheck) {
        let (borne_out, what) = match standing {
            PublishedLogCheck::Closing(index) => {
                (true, format!("entry {index} is the closing entry it names"))
            }
            PublishedLogCheck::Intent => (true, "it names the intent".into()),
            PublishedLogCheck::NotBorneOut(why) => (false, why),
        };
        self.borne_out = Some(borne_out);
        self.what = Some(what);
    }
}

/// What a proof that holds proves.
#[derive(Clone, Debug)]
pub(super) struct ProofReport {
    /// The entry's index.
    pub index: u64,
    /// The size of the log whose checkpoint stands in the proof.
    pub size: u64,
    /// The entry's leaf hash.
    pub hash: Hash,
    /// The entry's bytes, where the proof holds them.
    pub entry: Option<Vec<u8>>,
}

/// As `--json` prints it.
#[derive(Serialize)]
pub(super) struct ProofJson<'r> {
    index: u64,
    size: u64,
    leaf: String,
    /// `null` too where it is no JSON.
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
