//! `lychgate audit show`: prints one deletion. Prints who, what, the result and the receipt, then all
//! entries of the deletion with their leaf hashes.

use std::io::Write;
use std::ops::ControlFlow;

use anstyle::Style;
use serde::Serialize;

use super::deletions::tell_missing;
use super::fields::{Fields, Object, field, plain, sentence};
use super::in_words;
use super::trail::{Reading, Trail, index_of_receipt};
use crate::audit::entry::{Entry, Kind, Outcome};
use crate::audit::log::to_base64;
use crate::audit::read::query::{Deletion, Joiner, entries_of, first_of};
use crate::audit::read::{Missing, Raw};
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
    /// The size of the checkpoint that covers the entry; `None` if no checkpoint covers it yet.
    checkpoint: Option<u64>,
    entry: Entry,
}

/// Shows the entries of one deletion: the intent (all parts), the closing entry and any read-backs.
/// Shows a refusal, or an entry that belongs to no deletion, alone.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let (origin, shown, missing) = find(&trail, &arguments.what)?;
    if shown.is_empty() {
        let message = format!("no entry of the trail is {}", arguments.what);
        return Err(Stop::no(message));
    }
    match arguments.json {
        true => shown.iter().try_for_each(|entry| print_json(out, entry))?,
        false => print(out, origin.as_deref(), &shown)?,
    }
    out.flush()?;
    Ok(tell_missing(missing))
}

/// Returns the log's name if it is known, the entries, and the missing ranges that may hold more
/// entries of the deletion.
fn find(trail: &Trail, what: &str) -> Result<(Option<String>, Vec<Shown>, Missing), Stop> {
    let mut log = trail.open()?;
    let origin = trail.origin(&log);
    let is_receipt = what.contains('/');
    let index = match is_receipt {
        true => Some(index_of_receipt(what, origin.as_deref())?),
        false => what.parse().ok(),
    };
    let found = match index {
        Some(index) => log.entry(index)?,
        None => first_of(&mut log, what)?,
    };
    let Some(found) = found else {
        return Ok((origin, Vec::new(), Missing::default()));
    };
    if is_receipt && !matches!(found.decode()?.kind, Kind::Intent(_)) {
        let index = found.index;
        let message = format!("entry {index} is no intent, so {what} is no receipt of this trail");
        return Err(Stop::no(message));
    }
    let (entries, mut missing) = match found.deletion() {
        Some(intent) => deletion(trail, intent)?,
        None => (vec![shown(&found, log.size())?], Missing::default()),
    };
    if !trail.is_address() {
        // Report a fault of the journal even if it hides none of these entries: the journal may be of a newer
        // program.
        let mut log = trail.open()?;
        let fault = log.tail().find_map(Result::err);
        fault.into_iter().for_each(|fault| missing.add(fault));
    }
    Ok((origin, entries, missing))
}

/// Returns every entry of a deletion, and the missing ranges that may hold more. If the outcome leaves
/// doubt, a read-back may follow anywhere in the trail. After any other outcome, the deletion has no
/// more entries.
fn deletion(trail: &Trail, intent: u64) -> Result<(Vec<Shown>, Missing), Stop> {
    let mut log = trail.open()?;
    let size = log.size();
    let mut found = Vec::new();
    let (all, missing) = entries_of(&mut log, intent, |raw| {
        let shown = shown(&raw, size);
        let parts = match shown.as_ref().map(|shown| &shown.entry.kind) {
            Ok(Kind::Outcome(Outcome { ending, leaves, .. })) => {
                let is_last = !ending.outcome.leaves_doubt(ending.sent);
                is_last.then_some(leaves.len())
            }
            Ok(_) => None,
            Err(_) => Some(0),
        };
        found.push(shown);
        parts.map_or(ControlFlow::Continue(()), ControlFlow::Break)
    });
    let found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
    // If the outcome and all parts of the intent were found, a missing range hides no entry of the
    // deletion.
    let is_whole = all.is_some_and(|parts| found.len() == parts + 1);
    let missing = Some(missing).filter(|_| !is_whole).unwrap_or_default();
    Ok((found, missing))
}

fn shown(raw: &Raw, size: u64) -> Result<Shown, Stop> {
    Ok(Shown {
        index: raw.index,
        leaf: to_base64(&raw.leaf()),
        checkpoint: (raw.index < size).then_some(size),
        entry: raw.decode()?,
    })
}

/// Prints the deletion in words and its receipt, then the remaining fields of each entry.
fn print(out: &mut dyn Write, origin: Option<&str>, shown: &[Shown]) -> Result<(), Stop> {
    let deletion = joined(shown);
    let mut said = Vec::new();
    if let Some(deletion) = &deletion {
        said = in_words::SAID.to_vec();
        if in_words::has_many_users(deletion) {
            said.retain(|name| *name != "users");
        }
        for (name, value) in head(deletion, origin, shown) {
            field(out, name, &value)?;
        }
        writeln!(out)?;
    }
    for (place, entry) in shown.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        print_entry(out, entry, &said)?;
    }
    Ok(())
}

/// The deletion that the entries record. `None` if they record none.
fn joined(shown: &[Shown]) -> Option<Deletion> {
    let mut joiner = Joiner::default();
    for Shown { index, entry, .. } in shown {
        joiner.push(*index, entry.clone());
    }
    joiner.rest().next()
}

/// The fields above the entries: who, what, result and receipt. A refused deletion has no receipt.
fn head(deletion: &Deletion, origin: Option<&str>, shown: &[Shown]) -> Fields {
    let mut fields = in_words::deletion(deletion);
    let read_back = shown
        .iter()
        .rev()
        .find_map(|shown| match &shown.entry.kind {
            Kind::Reconciled(read_back) if read_back.part == read_back.parts => {
                Some((shown.index, in_words::name(&read_back.result)))
            }
            _ => None,
        });
    if let Some((index, result)) = read_back {
        fields.push(("read back", format!("{result}, entry {index}")));
    }
    if deletion.code.is_none() {
        let receipt = origin.map(|origin| format!("{origin}/{}", deletion.index));
        fields.extend(receipt.map(|receipt| ("receipt", receipt)));
        let named = deletion.closing_index.unwrap_or(deletion.index);
        let named = shown.iter().find(|shown| shown.index == named);
        fields.extend(named.map(|named| ("leaf", named.leaf.clone())));
    }
    fields
}

/// Prints a heading, then the entry's fields in the order of the format. Leaves out the fields in
/// `said`, because the lines above the entries contain them.
fn print_entry(out: &mut dyn Write, shown: &Shown, said: &[&str]) -> Result<(), Stop> {
    let text = serde_json::to_string(&shown.entry).map_err(Stop::internal)?;
    let Object(fields) = serde_json::from_str(&text).map_err(Stop::internal)?;
    let value = |name: &str| fields.iter().find(|(known, _)| known == name);
    let of = |name: &str| value(name).map(|(_, raw)| plain(raw)).unwrap_or_default();
    let kind = of("kind");
    let said = match &*kind {
        "intent" | "refused" => said,
        _ => &[],
    };
    let heading = format!("entry {}: {kind}", shown.index);
    sentence(out, Style::new().bold(), &heading)?;
    field(out, "time", &of("time"))?;
    field(out, "leaf", &shown.leaf)?;
    let proof = match shown.checkpoint {
        Some(size) => format!("under the checkpoint of {size} entries"),
        None => "not yet under a checkpoint".into(),
    };
    field(out, "proof", &proof)?;
    for (name, value) in &fields {
        let is_said = ["kind", "time"].contains(&&**name) || said.contains(&&**name);
        if !is_said && value.get() != "null" {
            field(out, name, &plain(value))?;
        }
    }
    Ok(())
}
