//! Finds an entry by an index, a receipt or a request id.

use std::ops::ControlFlow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ProveError;
use crate::audit::entry::{EntryHead, EntrySummary};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::read::query::{Raw, entries_of, first_of};
use crate::audit::read::{Log, MissingRange};

/// Opens the present state of the log.
type Open<'o> = &'o dyn Fn() -> Result<Log, MissingRange>;

/// The entry to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The entry with this index.
    Index(u64),
    /// The deletion whose (first) intent has this index.
    Deletion(u64),
    /// The deletion of this request, or its refusal.
    Request(String),
}

/// The choice between the two entries of a deletion; [`Wanted::Index`] ignores it, except for the
/// intent of a closing entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// The closing entry.
    #[default]
    Closing,
    /// The (first) intent.
    Intent,
}

/// The entry to prove, with its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The entry's index.
    pub index: u64,
    /// The entry's bytes.
    pub bytes: Vec<u8>,
    /// The leaf of the deletion's other entry, if it was needed.
    pub other: Option<Hash>,
}

impl Found {
    /// Checks that a leaf is that of this entry or of the deletion's other one.
    pub(super) fn must_have(&self, given: &Hash) -> Result<(), ProveError> {
        if leaf(&self.bytes) == *given || self.other == Some(*given) {
            return Ok(());
        }
        let index = self.index;
        Err(ProveError::AnotherLeaf(format!(
            "the leaf given is neither that of entry {index} nor of the deletion's other entry: the log does not bear it out"
        )))
    }
}

/// The two entries of a deletion.
#[derive(Debug)]
struct Deletion {
    /// The (first) intent.
    intent: Raw,
    closing: Option<Raw>,
}

/// Finds the entry. Starts at `from`, and moves it to the start for the next try.
pub(super) fn find(
    open: Open<'_>,
    wanted: &Wanted,
    side: Side,
    both: bool,
    from: &mut u64,
) -> Result<Found, ProveError> {
    match wanted {
        Wanted::Index(index) => by_index(open, *index, side, both),
        Wanted::Deletion(index) => {
            entry(open, *index)?;
            choose(deletion(open, *index)?, side)
        }
        Wanted::Request(id) => {
            let Some(first) = first_of(&mut open()?, *from, id)? else {
                return Err(not_there(format!("the log has no entry of request {id}")));
            };
            *from = first.index;
            match first.deletion() {
                Some(intent) => choose(deletion(open, intent)?, side),
                None => Ok(found(first, None)),
            }
        }
    }
}

fn not_there(what: String) -> ProveError {
    ProveError::NotThere(what)
}

fn entry(open: Open<'_>, index: u64) -> Result<Raw, ProveError> {
    match open()?.entry(index)? {
        Some(bytes) => Ok(Raw { index, bytes }),
        None => Err(not_there(format!("the log ends before entry {index}"))),
    }
}

/// The entry with this index. If it is a closing entry and the caller wants the intent, the intent.
fn by_index(open: Open<'_>, index: u64, side: Side, both: bool) -> Result<Found, ProveError> {
    let raw = entry(open, index)?;
    let (begins, closes) = match EntryHead::decode(&raw.bytes).map(|head| head.summary) {
        Ok(EntrySummary::Intent(intent)) => (Some(intent.first(index)), None),
        Ok(EntrySummary::Outcome(outcome)) => (None, Some(outcome.intent)),
        _ => (None, None),
    };
    if let (Side::Intent, Some(intent)) = (side, closes) {
        return choose(deletion(open, intent)?, Side::Intent);
    }
    let other = match (both, begins, closes) {
        (true, Some(intent), _) => deletion(open, intent)?.closing,
        (true, _, Some(intent)) => Some(deletion(open, intent)?.intent),
        _ => None,
    };
    Ok(found(raw, other.as_ref()))
}

/// The deletion whose (first) intent has this index.
fn deletion(open: Open<'_>, index: u64) -> Result<Deletion, ProveError> {
    let (mut intent, mut closing) = (None, None);
    entries_of(&mut open()?, index, |raw| {
        let head = EntryHead::decode(&raw.bytes).map(|head| head.summary);
        match head {
            Ok(EntrySummary::Outcome(_)) => {
                closing = Some(raw);
                return ControlFlow::Break(());
            }
            _ if raw.index == index => intent = Some(raw),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    let none = || {
        let what = format!("entry {index} is not an intent, so this is not a receipt of this log");
        not_there(what)
    };
    Ok(Deletion {
        intent: intent.ok_or_else(none)?,
        closing,
    })
}

fn choose(deletion: Deletion, side: Side) -> Result<Found, ProveError> {
    let Deletion { intent, closing } = deletion;
    match (closing, side) {
        (closing, Side::Intent) => Ok(found(intent, closing.as_ref())),
        (Some(closing), Side::Closing) => Ok(found(closing, Some(&intent))),
        (None, Side::Closing) => Err(ProveError::NotYet(format!(
            "the deletion of entry {} is in flight: no entry closes it (`--entry intent` proves its intent, leaf {})",
            intent.index,
            STANDARD.encode(intent.leaf())
        ))),
    }
}

fn found(entry: Raw, other: Option<&Raw>) -> Found {
    Found {
        index: entry.index,
        bytes: entry.bytes,
        other: other.map(Raw::leaf),
    }
}
