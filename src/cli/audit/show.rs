//! `lychgate audit show`: prints all entries of one deletion in full, with their leaf hashes.

use std::io::Write;
use std::ops::ControlFlow;

use anstyle::Style;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use super::trail::{Reading, Trail, index_of_receipt};
use crate::audit::entry::{Entry, Kind, Outcome};
use crate::audit::read::Raw;
use crate::audit::read::query::{entries_of, first_of};
use crate::cli::escape::escape;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::print_json;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit show 42 --config lychgate.toml
  lychgate audit show lychgate.example.com/edge-1/42 --dir audit
  lychgate audit show 01938f3e-5a1b-7c3d-8e9f-0a1b2c3d4e5f --dir audit --json")]
pub(super) struct Arguments {
    /// An index, a receipt (ORIGIN/INDEX) or a request id
    #[arg(value_name = "INDEX|RECEIPT|REQUEST_ID")]
    what: String,
    #[command(flatten)]
    reading: Reading,
    /// Print one JSON object per line: index, leaf, checkpoint (the size of the one that covers
    /// it), entry
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    index: u64,
    leaf: String,
    /// The size of the checkpoint that covers the entry; `None` if none does yet.
    checkpoint: Option<u64>,
    entry: Entry,
}

/// Shows the entries of one deletion: its intent (all parts) and closing entry, or its refusal.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let shown = find(&trail, &arguments.what)?;
    if shown.is_empty() {
        let message = format!("no entry of the trail is {}", arguments.what);
        return Err(Stop::no(message));
    }
    for (place, entry) in shown.iter().enumerate() {
        if arguments.json {
            print_json(out, entry)?;
        } else {
            if place > 0 {
                writeln!(out)?;
            }
            print(out, entry)?;
        }
    }
    Ok(Exit::Fine)
}

fn find(trail: &Trail, what: &str) -> Result<Vec<Shown>, Stop> {
    let mut log = trail.open()?;
    let is_receipt = what.contains('/');
    let index = match is_receipt {
        true => Some(index_of_receipt(what, trail.origin(&log).as_deref())?),
        false => what.parse().ok(),
    };
    let found = match index {
        Some(index) => log.entry(index)?,
        None => first_of(&mut log, what)?,
    };
    let Some(found) = found else {
        return Ok(Vec::new());
    };
    if is_receipt && !matches!(found.decode()?.kind, Kind::Intent(_)) {
        let index = found.index;
        let message = format!("entry {index} is no intent, so {what} is no receipt of this trail");
        return Err(Stop::no(message));
    }
    if !trail.is_address() {
        // A journal that cannot be read is an error, whatever the answer is made from.
        trail.open()?.tail().try_for_each(|raw| raw.map(drop))?;
    }
    match found.deletion() {
        Some(intent) => deletion(trail, intent),
        None => Ok(vec![shown(&found, log.size())?]),
    }
}

/// Every entry of a deletion. If the outcome leaves doubt, a read-back may follow anywhere in the
/// trail; after any other outcome, the deletion has no more entries.
fn deletion(trail: &Trail, intent: u64) -> Result<Vec<Shown>, Stop> {
    let mut log = trail.open()?;
    let size = log.size();
    let mut found = Vec::new();
    entries_of(&mut log, intent, |raw| {
        let shown = shown(&raw, size);
        let is_last = match shown.as_ref().map(|shown| &shown.entry.kind) {
            Ok(Kind::Outcome(Outcome { ending, .. })) => !ending.outcome.leaves_doubt(ending.sent),
            Ok(_) => false,
            Err(_) => true,
        };
        found.push(shown);
        match is_last {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    found.into_iter().collect()
}

fn shown(raw: &Raw, size: u64) -> Result<Shown, Stop> {
    Ok(Shown {
        index: raw.index,
        leaf: STANDARD.encode(raw.leaf()),
        checkpoint: (raw.index < size).then_some(size),
        entry: raw.decode()?,
    })
}

/// Prints a heading, then one field per line.
fn print(out: &mut dyn Write, shown: &Shown) -> Result<(), Stop> {
    let fields = serde_json::to_value(&shown.entry).map_err(Stop::internal)?;
    let kind = fields["kind"].as_str().unwrap_or_default();
    let bold = Style::new().bold();
    writeln!(out, "{bold}entry {}: {}{bold:#}", shown.index, escape(kind))?;
    writeln!(out, "  {:<11} {}", "time", escape(&shown.entry.time))?;
    writeln!(out, "  {:<11} {}", "leaf", shown.leaf)?;
    let proof = match shown.checkpoint {
        Some(size) => format!("under the checkpoint of {size} entries"),
        None => "not yet under a checkpoint".into(),
    };
    writeln!(out, "  {:<11} {proof}", "proof")?;
    for (name, value) in fields.as_object().into_iter().flatten() {
        if !["kind", "time"].contains(&name.as_str()) && !value.is_null() {
            writeln!(out, "  {name:<11} {}", plain(value))?;
        }
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escape(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{} {}", escape(name), plain(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
