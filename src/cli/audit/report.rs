//! What `audit verify` found, for people and for programs.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::audit::verifier_key::VerifierKey;
use crate::audit::verify::{Failure, Summary};
use crate::cli::escape::{escape, json_line};
use crate::cli::exit::{Exit, Stop};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The log's name, where it is known.
    pub origin: Option<String>,
    /// Whether each batch's tag was checked with the signing key.
    pub tags_checked: bool,
    /// Whether no key from outside the folder was at hand.
    pub trusts_folder: bool,
    /// The counts, where the trail is sound.
    pub summary: Option<Summary>,
    /// The first thing that is wrong.
    pub failure: Option<Failure>,
    /// Of the receipt, where one was given.
    pub receipt: Option<ReceiptReport>,
}

/// What was found of a receipt.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceiptReport {
    /// `ORIGIN/INDEX`.
    pub receipt: String,
    /// The key it was judged by.
    pub verifier: String,
    /// Whether that key signed it.
    pub genuine: bool,
    /// Whether the trail bears it out; `None` where that was not reached.
    pub borne_out: Option<bool>,
    /// How, or why not.
    pub what: Option<String>,
}

impl ReceiptReport {
    /// Before the trail is read.
    pub(super) fn new(receipt: &str, verifier: &VerifierKey, genuine: bool) -> Self {
        Self {
            receipt: receipt.to_owned(),
            verifier: verifier.to_string(),
            genuine,
            borne_out: None,
            what: None,
        }
    }

    fn holds(&self) -> bool {
        self.genuine && self.borne_out == Some(true)
    }
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct Json<'r> {
    verified: bool,
    origin: Option<&'r str>,
    tags_checked: bool,
    trusts_folder: bool,
    summary: Option<&'r Summary>,
    index: Option<u64>,
    segment: Option<u64>,
    offset: Option<u64>,
    fault: Option<&'r str>,
    receipt: Option<&'r ReceiptReport>,
}

impl Report {
    /// Whether the answer is yes.
    #[must_use]
    pub(super) fn holds(&self) -> bool {
        self.failure.is_none() && self.receipt.as_ref().is_none_or(ReceiptReport::holds)
    }

    /// One JSON object.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn json(&self, out: &mut dyn Write) -> Result<(), Stop> {
        let failure = self.failure.as_ref();
        let place = failure.and_then(|failure| failure.place);
        let line = json_line(&Json {
            verified: failure.is_none(),
            origin: self.origin.as_deref(),
            tags_checked: self.tags_checked,
            trusts_folder: self.trusts_folder,
            summary: self.summary.as_ref(),
            index: failure.and_then(|failure| failure.index),
            segment: place.map(|place| place.segment),
            offset: place.map(|place| place.offset),
            fault: failure.map(|failure| failure.what.as_str()),
            receipt: self.receipt.as_ref(),
        })
        .map_err(|error| Stop::with(Exit::Internal, error))?;
        writeln!(out, "{line}")?;
        Ok(())
    }

    /// Some lines for people; the last one is the answer.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn print(&self, out: &mut dyn Write) -> Result<(), Stop> {
        let mut line = |name: &str, text: &str| writeln!(out, "{name:<11} {}", escape(text));
        if let Some(origin) = &self.origin {
            line("origin", origin)?;
        }
        if let Some(summary) = &self.summary {
            line("entries", &entries(summary))?;
            line("deletions", &deletions(summary))?;
            line("in flight", &summary.open.to_string())?;
            line("refused", &refused(summary))?;
            if summary.cut_off {
                line(
                    "note",
                    "behind the last entry stands a write that was cut off; nobody was answered for it",
                )?;
            }
        }
        line(
            "tags",
            match self.tags_checked {
                true => "checked with the signing key",
                false => "not checked: no signing key at hand (--key-file)",
            },
        )?;
        if let Some(receipt) = &self.receipt {
            line("receipt", &receipt.receipt)?;
            if self.trusts_folder {
                line(
                    "judged by",
                    &format!(
                        "{}, the folder's own key: this trusts the folder (--key)",
                        receipt.verifier
                    ),
                )?;
            } else {
                line("judged by", &receipt.verifier)?;
            }
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

    fn answer(&self) -> (bool, String) {
        if let Some(failure) = &self.failure {
            return (false, format!("the trail does NOT verify: {failure}"));
        }
        match &self.receipt {
            None => (true, "the trail verifies".into()),
            Some(receipt) if !receipt.genuine => (
                false,
                "the receipt is NOT genuine: this key did not sign it as it stands".into(),
            ),
            Some(receipt) => {
                let what = receipt.what.as_deref().unwrap_or_default();
                match receipt.holds() {
                    true => (
                        true,
                        format!("the receipt is genuine, and the trail bears it out: {what}"),
                    ),
                    false => (
                        false,
                        format!(
                            "the receipt is genuine, but the trail does NOT bear it out: {what}; keep it, it is evidence against this trail"
                        ),
                    ),
                }
            }
        }
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
