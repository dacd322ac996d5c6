//! The result of `audit verify`, for people and for programs.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::value::RawValue;

use crate::audit::Receipt;
use crate::audit::log::key::VerifierKey;
use crate::audit::log::merkle::Hash;
use crate::audit::read::verify::{Claim, Failure, Summary};
use crate::cli::escape::escape;
use crate::cli::exit::Stop;

#[derive(Debug, Default)]
pub(super) struct Report {
    /// The log's name, if known.
    pub origin: Option<String>,
    /// The key that verified the signatures.
    pub verifier: Option<String>,
    /// Whether the only key was the folder's own.
    pub trusts_folder: bool,
    /// Whether each batch's tag was checked with the signing key.
    pub tags_checked: bool,
    /// Whether no trail was read.
    pub is_offline: bool,
    /// The size of the kept checkpoint that the log was compared with.
    pub against: Option<u64>,
    /// The counts, if the trail verifies.
    pub summary: Option<Summary>,
    /// The first fault.
    pub failure: Option<Failure>,
    pub receipt: Option<ReceiptReport>,
    /// The content of the proof, if one was given and holds.
    pub proof: Option<ProofReport>,
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
    /// Prints lines for people; the last one is the answer.
    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), Stop> {
        for (name, text) in self.lines() {
            writeln!(out, "{name:<11} {}", escape(&text))?;
        }
        let (good, answer) = self.answer();
        let colour = match good {
            true => AnsiColor::Green,
            false => AnsiColor::Red,
        };
        let style = Style::new().bold().fg_color(Some(colour.into()));
        writeln!(out, "{style}{}{style:#}", escape(&answer))?;
        Ok(())
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        if let Some(origin) = &self.origin {
            lines.push(("origin", origin.clone()));
        }
        if let Some(summary) = &self.summary {
            counts(summary, &mut lines);
        }
        if let Some(kept) = self.against {
            lines.push(("against", format!("a kept checkpoint of {kept} entries")));
        }
        if let Some(proof) = &self.proof {
            let place = format!("entry {} of a log of {}", proof.index, proof.size);
            lines.push((
                "proof",
                format!("{place}, leaf {}", STANDARD.encode(proof.hash)),
            ));
            if let Some(entry) = &proof.entry {
                lines.push(("entry", String::from_utf8_lossy(entry).into_owned()));
            }
        }
        if !self.is_offline {
            let tags = match self.tags_checked {
                true => "checked with the signing key",
                false => "not checked: no signing key at hand (--key-file)",
            };
            lines.push(("tags", tags.into()));
        }
        if let Some(receipt) = &self.receipt {
            lines.push(("receipt", receipt.receipt.clone()));
        }
        if let Some(verifier) = &self.verifier {
            let trust = match self.trusts_folder {
                true => ", the folder's own key: this trusts the folder (--key)",
                false => "",
            };
            lines.push(("judged by", format!("{verifier}{trust}")));
        }
        lines
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
                true => "the proof holds: the log that this key signs has this entry",
                false => "the trail verifies",
            };
            return (true, what.into());
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

fn counts(summary: &Summary, lines: &mut Vec<(&'static str, String)>) {
    let entries = match (&summary.first_time, &summary.last_time) {
        (Some(first), Some(last)) => format!("{}, from {first} to {last}", summary.entries),
        _ => "0: nothing is written yet".into(),
    };
    lines.push(("entries", entries));
    let checkpoint = match (summary.covered, &summary.root) {
        (Some(size), Some(root)) => format!("covers {size} of them, root {root}"),
        _ => "none yet: the log has just started".into(),
    };
    lines.push(("checkpoint", checkpoint));
    let deletions = format!(
        "{}: {} deleted, {} not found, {} rejected, {} failed, {} unknown",
        summary.deletions(),
        summary.deleted,
        summary.not_found,
        summary.rejected,
        summary.failed,
        summary.unknown,
    );
    lines.push(("deletions", deletions));
    lines.push(("in flight", summary.open.to_string()));
    let refused = match summary.turned_away {
        0 => summary.refused.to_string(),
        more => format!("{}, and {more} summed up", summary.refused),
    };
    lines.push(("refused", refused));
    if summary.cut_off {
        let note = "an incomplete write follows the last entry; no caller got an answer for it";
        lines.push(("note", note.into()));
    }
    let others = &summary.other_files;
    if others.count > 0 {
        let mut names = others.first.join(", ");
        if others.count > others.first.len() as u64 {
            names.push_str(", …");
        }
        let note = format!("files of other programs: {} ({names})", others.count);
        lines.push(("note", note));
    }
}

#[derive(Clone, Debug, serde::Serialize)]
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

    /// Adds how the log or the proof bears the claim out, or why it does not.
    pub(super) fn add_check(&mut self, check: Result<String, String>) {
        self.borne_out = Some(check.is_ok());
        let (Ok(what) | Err(what)) = check;
        self.what = Some(what);
    }
}

/// The content of a proof that holds.
#[derive(Clone, Debug, serde::Serialize)]
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
