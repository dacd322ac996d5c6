//! The result of `audit verify`, for people and for programs.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::fields::{Fields, field, sentence};
use super::in_words;
use crate::audit::Receipt;
use crate::audit::log::key::VerifierKey;
use crate::audit::read::prove::Evidence;
use crate::audit::read::verify::{Claim, Failure, Summary};
use crate::cli::exit::Stop;

#[derive(Debug, Default)]
pub(super) struct Report {
    /// The log's name, if known.
    pub origin: Option<String>,
    /// The key that verified the signatures.
    pub verifier: Option<String>,
    /// Whether the only key for the check came from the audit folder itself.
    pub trusts_folder: bool,
    /// Whether each batch's tag was checked with the signing key.
    pub tags_checked: bool,
    /// Whether no trail was read.
    pub is_offline: bool,
    /// The size of the kept checkpoint that the log was compared with.
    pub against: Option<u64>,
    /// The counts, if the trail verifies.
    pub summary: Option<Summary>,
    /// The first fault, if there is one.
    pub failure: Option<Failure>,
    pub receipt: Option<ReceiptReport>,
    /// The content of the proof, if a proof was given and holds.
    pub proof: Option<Evidence>,
}

/// The object that `--json` prints.
impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failure = self.failure.as_ref();
        let place = failure.and_then(|failure| failure.place);
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("verified", &failure.is_none())?;
        object.serialize_entry("origin", &self.origin)?;
        object.serialize_entry("verifier", &self.verifier)?;
        object.serialize_entry("tags_checked", &self.tags_checked)?;
        object.serialize_entry("trusts_folder", &self.trusts_folder)?;
        object.serialize_entry("against", &self.against)?;
        object.serialize_entry("summary", &self.summary)?;
        object.serialize_entry("index", &failure.and_then(|failure| failure.index))?;
        object.serialize_entry("file", &failure.map(|failure| &failure.file))?;
        object.serialize_entry("segment", &place.map(|place| place.segment))?;
        object.serialize_entry("offset", &place.map(|place| place.offset))?;
        object.serialize_entry("fault", &failure.map(|failure| &failure.what))?;
        object.serialize_entry("receipt", &self.receipt)?;
        object.serialize_entry("proof", &self.proof)?;
        object.end()
    }
}

impl Report {
    /// Prints the report for people. The last sentence is the answer.
    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), Stop> {
        for (name, text) in self.fields() {
            field(out, name, &text)?;
        }
        let (good, answer) = self.answer();
        let colour = match good {
            true => AnsiColor::Green,
            false => AnsiColor::Red,
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        Ok(sentence(out, style, &answer)?)
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        if let Some(origin) = &self.origin {
            fields.push(("origin", origin.clone()));
        }
        if let Some(summary) = &self.summary {
            counts(summary, &mut fields);
        }
        if let Some(kept) = self.against {
            fields.push(("against", format!("a kept checkpoint of {kept} entries")));
        }
        if let Some(proof) = &self.proof {
            let origin = self.origin.as_deref().unwrap_or_default();
            fields.extend(in_words::proof(proof, origin));
        }
        if !self.is_offline {
            let tags = match self.tags_checked {
                true => "checked with the signing key",
                false => "not checked: no signing key at hand (--key-file)",
            };
            fields.push(("tags", tags.into()));
        }
        let receipt = self.receipt.as_ref();
        let receipt = receipt.map(|receipt| ("receipt", receipt.receipt.clone()));
        fields.extend(receipt.filter(|receipt| !fields.contains(receipt)));
        if let Some(verifier) = &self.verifier {
            fields.push(("judged by", verifier.clone()));
            if self.trusts_folder {
                let trust = "that key is the folder's own: this trusts the folder (--key)";
                fields.push(("note", trust.into()));
            }
        }
        fields
    }

    /// Returns whether everything verified, and the result as a sentence.
    pub(super) fn answer(&self) -> (bool, String) {
        if let Some(failure) = &self.failure {
            let what = match self.is_offline {
                true => "the proof does NOT hold",
                false => "the trail does NOT verify",
            };
            return (false, format!("{what}: {failure}"));
        }
        let Some(receipt) = &self.receipt else {
            let what = match self.is_offline {
                true => in_words::answer(self.proof.as_ref()),
                false => "the trail verifies".into(),
            };
            return (true, what);
        };
        if !receipt.genuine {
            let what = "the receipt is NOT genuine: this key did not sign it in this form";
            return (false, what.into());
        }
        let is_borne_out = receipt.borne_out == Some(true);
        let what = receipt.what.as_deref().unwrap_or_default();
        let rest = match (self.is_offline, is_borne_out) {
            (true, _) if self.proof.is_none() => {
                let rest = "; whether the log bears it out was not checked (--dir, --proof)";
                return (true, format!("the receipt is genuine{rest}"));
            }
            (true, true) => format!("and the proof bears it out: {what}"),
            (true, false) => format!("but the proof does NOT bear it out: {what}"),
            (false, true) => format!("and the trail bears it out: {what}"),
            (false, false) => format!(
                "but the trail does NOT bear it out: {what}; keep it, it is evidence against this trail"
            ),
        };
        (is_borne_out, format!("the receipt is genuine, {rest}"))
    }
}

fn counts(summary: &Summary, fields: &mut Fields) {
    let entries = match (&summary.first_time, &summary.last_time) {
        (Some(first), Some(last)) => format!("{}, from {first} to {last}", summary.entries),
        _ => "0: nothing is written yet".into(),
    };
    fields.push(("entries", entries));
    let checkpoint = match (summary.covered, &summary.root) {
        (Some(size), Some(root)) => format!("covers {size} of them, root {root}"),
        _ => "none yet: the log has just started".into(),
    };
    fields.push(("checkpoint", checkpoint));
    let deletions = format!(
        "{}: {} deleted, {} not found, {} rejected, {} failed, {} unknown",
        summary.deletions(),
        summary.deleted,
        summary.not_found,
        summary.rejected,
        summary.failed,
        summary.unknown,
    );
    fields.push(("deletions", deletions));
    fields.push(("in flight", summary.open.to_string()));
    let refused = match summary.turned_away {
        0 => summary.refused.to_string(),
        more => format!("{}, and {more} summed up", summary.refused),
    };
    fields.push(("refused", refused));
    if summary.cut_off {
        let note = "an incomplete write follows the last entry; no caller got an answer for it";
        fields.push(("note", note.into()));
    }
    let others = &summary.other_files;
    if others.count > 0 {
        let mut names = others.first.join(", ");
        if others.count > others.first.len() as u64 {
            names.push_str(", …");
        }
        let note = format!("files of other programs: {} ({names})", others.count);
        fields.push(("note", note));
    }
}

#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct ReceiptReport {
    /// The text of the receipt, `ORIGIN/INDEX`.
    pub(crate) receipt: String,
    pub(crate) verifier: String,
    /// Whether the key `verifier` signed the receipt.
    pub(crate) genuine: bool,
    /// Whether the trail or the proof bears the receipt out. `None` if neither was checked.
    pub(crate) borne_out: Option<bool>,
    /// How the trail or the proof bears the receipt out, or why it does not.
    pub(crate) what: Option<String>,
}

impl ReceiptReport {
    /// Verifies a receipt's signature. Returns the receipt's claim if the signature is genuine.
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

    /// Adds the result of the check against the log or the proof. `Ok` and `Err` hold a description.
    pub(super) fn add_check(&mut self, check: Result<String, String>) {
        self.borne_out = Some(check.is_ok());
        let (Ok(what) | Err(what)) = check;
        self.what = Some(what);
    }
}
