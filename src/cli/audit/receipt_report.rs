//! The results of verifying a receipt and a proof.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::audit::Receipt;
use crate::audit::log::merkle::Hash;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::verify::{Claim, ClaimCheck};

#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceiptReport {
    /// `ORIGIN/INDEX`.
    pub(crate) receipt: String,
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
#[derive(Clone, Debug, Serialize)]
pub(super) struct ProofReport {
    pub(crate) index: u64,
    /// The size in the proof's checkpoint.
    pub(crate) size: u64,
    #[serde(rename = "leaf", serialize_with = "base64")]
    pub(crate) hash: Hash,
    /// The entry's bytes, if the proof holds them.
    #[serde(serialize_with = "json")]
    pub(crate) entry: Option<Vec<u8>>,
}

fn base64<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(hash))
}

/// `null` also if the entry is not JSON.
fn json<S: Serializer>(entry: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    let raw = entry.as_deref().map(serde_json::from_slice::<&RawValue>);
    raw.and_then(Result::ok).serialize(serializer)
}
