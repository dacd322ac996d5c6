//! The result of `audit verify`, for people and for programs.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::receipt_report::{ProofJson, ProofReport, ReceiptReport};
use crate::audit::read::verify::{Failure, Summary};
use crate::cli::escape::{escape, json_line};
use crate::cli::exit::{Exit, Stop};

/// The result.
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
    /// The result for the receipt, if one was given.
    pub receipt: Option<ReceiptReport>,
    /// The content of the proof, if one was given and holds.
    pub proof: Option<ProofReport>,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Json<'r> {
    verified: bool,
    origin: Option<&'r str>,
    verifier: Option<&'r str>,
    tags_checked: bool,
    trusts_folder: bool,
    against: Option<u64>,
    summary: Option<&'r Summary>,
    index: Option<u64>,
    file: Option<&'r str>,
    segment: Option<u64>,
    offset: Option<u64>,
    fault: Option<&'r str>,
    receipt: Option<&'r ReceiptReport>,
    proof: Option<ProofJson<'r>>,
}

impl Report {
    /// Whether everything verified.
    pub(super) fn holds(&self) -> bool {
        let receipt = self.receipt.as_ref();
        self.failure.is_none() && receipt.is_none_or(|receipt| self.bears_out(receipt))
    }

    /// Prints one JSON object.
    pub(super) fn json(&self, out: &mut dyn Write) -> Result<(), Stop> {
        let failure = self.failure.as_ref();
        let place = failure.and_then(|failure| failure.place);
        let line = json_line(&Json {
            verified: failure.is_none(),
            origin: self.origin.as_deref(),
            verifier: self.verifier.as_deref(),
            tags_checked: self.tags_checked,
            trusts_folder: self.trusts_folder,
            against: self.against,
            summary: self.summary.as_ref(),
            index: failure.and_then(|failure| failure.index),
            file: failure.and_then(|failure| failure.file.as_deref()),
            segment: place.map(|place| place.segment),
            offset: place.map(|place| place.offset),
            fault: failure.map(|failure| failure.what.as_str()),
            receipt: self.receipt.as_ref(),
            proof: self.proof.as_ref().map(ProofReport::json),
        })
        .map_err(|error| Stop::with(Exit::Internal, error))?;
        writeln!(out, "{line}")?;
        Ok(())
    }

    /// Prints lines for people; the last one is the answer.
    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), Stop> {
        for (name, text) in self.lines() {
            writeln!(out, "{name:<11} {}", escape(&text))?;
        }
        let (good, answer) = self.answer();
        let colour = if good {
            AnsiColor::Green
        } else {
            AnsiColor::Red
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
            lines.push(("proof", format!("{place}, leaf {}", proof.leaf())));
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

    /// Whether the receipt counts as good. Without a log or a proof, only its signature can be
    /// verified.
    fn bears_out(&self, receipt: &ReceiptReport) -> bool {
        let is_alone = self.is_offline && self.proof.is_none();
        receipt.genuine && (receipt.borne_out == Some(true) || is_alone)
    }

    fn answer(&self) -> (bool, String) {
        if let Some(failure) = &self.failure {
            let what = match self.is_offline {
                true => "the proof does NOT hold",
                false => "the trail does NOT verify",
            };
            return (false, format!("{what}: {failure}"));
        }
        let witness = match (self.is_offline, &self.proof) {
            (false, _) => "the trail",
            (true, Some(_)) => "the proof",
            (true, None) => "",
        };
        let Some(receipt) = &self.receipt else {
            return (
                true,
                match self.is_offline {
                    true => "the proof holds: the log that this key signs has this entry".into(),
                    false => "the trail verifies".into(),
                },
            );
        };
        let what = receipt.what.as_deref().unwrap_or_default();
        match (receipt.genuine, self.bears_out(receipt)) {
            (false, _) => (
                false,
                "the receipt is NOT genuine: this key did not sign it in this form".into(),
            ),
            (true, true) if witness.is_empty() => (
                true,
                "the receipt is genuine; whether the log bears it out was not checked (--dir, --proof)".into(),
            ),
            (true, true) => (
                true,
                format!("the receipt is genuine, and {witness} bears it out: {what}"),
            ),
            (true, false) if self.is_offline => (
                false,
                format!("the receipt is genuine, but the proof does NOT bear it out: {what}"),
            ),
            (true, false) => (
                false,
                format!(
                    "the receipt is genuine, but the trail does NOT bear it out: {what}; keep it, it is evidence against this trail"
                ),
            ),
        }
    }
}

fn counts(summary: &Summary, lines: &mut Vec<(&'static str, String)>) {
    lines.push(("entries", entries(summary)));
    lines.push(("checkpoint", checkpoint(summary)));
    lines.push(("deletions", deletions(summary)));
    lines.push(("in flight", summary.open.to_string()));
    lines.push(("refused", refused(summary)));
    if summary.cut_off {
        let note = "an incomplete write follows the last entry; no caller got an answer for it";
        lines.push(("note", note.into()));
    }
    let others = &summary.other_files;
    if others.count > 0 {
        let (count, mut names) = (others.count, others.first.join(", "));
        if count > others.first.len() as u64 {
            names.push_str(", …");
        }
        let note = format!("files of other programs: {count} ({names})");
        lines.push(("note", note));
    }
}

fn checkpoint(summary: &Summary) -> String {
    match (summary.covered, &summary.root) {
        (Some(size), Some(root)) => format!("covers {size} of them, root {root}"),
        _ => "none yet: the log has just started".into(),
    }
}

fn entries(summary: &Summary) -> String {
    match (&summary.first_time, &summary.last_time) {
        (Some(first), Some(last)) => format!("{}, from {first} to {last}", summary.entries),
        _ => "0: nothing is written yet".into(),
    }
}

fn deletions(summary: &Summary) -> String {
    format!(
        "{}: {} deleted, {} not found, {} rejected, {} failed, {} unknown",
        summary.deletions(),
        summary.deleted,
        summary.not_found,
        summary.rejected,
        summary.failed,
        summary.unknown,
    )
}

fn refused(summary: &Summary) -> String {
    match summary.turned_away {
        0 => summary.refused.to_string(),
        more => format!("{}, and {more} summed up", summary.refused),
    }
}
