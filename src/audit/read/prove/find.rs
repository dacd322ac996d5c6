//! Which entry is meant by an index, a receipt or a request id.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::ProveError;
use super::shelf::Shelf;
use crate::audit::entry::{EntryHead, EntrySummary};
use crate::audit::log::merkle::{Hash, leaf};

/// What is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The entry with this index.
    Index(u64),
    /// The deletion whose (first) intent has this index.
    Deletion(u64),
    /// The deletion of this request, or its refusal.
    Request(String),
}

/// Which entry of a deletion; an index is what it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// What closes it.
    #[default]
    Closing,
    /// Its (first) intent.
    Intent,
}

/// The entry that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its index.
    pub index: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The leaf of the deletion's other entry, where it was looked for.
    pub other: Option<Hash>,
}

impl Found {
    /// Whether a leaf is that of the entry, or of the deletion's other one.
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

/// An entry that passed by.
#[derive(Clone, Debug)]
struct Seen {
    index: u64,
    bytes: Vec<u8>,
}

/// What was seen of a deletion.
#[derive(Debug, Default)]
struct Deletion {
    intent: Option<Seen>,
    closing: Option<Seen>,
    refused: Option<Seen>,
}

/// Finds the entry. `from` is where to begin; it is set to where the next look may begin.
pub(super) fn find(
    shelf: &Shelf<'_>,
    wanted: &Wanted,
    side: Side,
    both: bool,
    from: &mut u64,
) -> Result<Found, ProveError> {
    match wanted {
        Wanted::Index(index) => by_index(shelf, *index, side, both),
        Wanted::Deletion(index) => {
            let seen = deletion(shelf, *index)?;
            match (&seen.intent, &seen.refused) {
                (None, None) => Err(not_there(format!("the log ends before entry {index}"))),
                (None, Some(_)) => {
                    let what =
                        format!("entry {index} is no intent, so that is no receipt of this log");
                    Err(not_there(what))
                }
                _ => choose(seen, side),
            }
        }
        Wanted::Request(id) => {
            let seen = request(shelf, id, from)?;
            choose(seen, side).map_err(|error| match error {
                ProveError::NotThere(_) => {
                    not_there(format!("no entry of the log is of request {id}"))
                }
                other => other,
            })
        }
    }
}

fn not_there(what: String) -> ProveError {
    ProveError::NotThere(what)
}

/// An index means its own entry, but where the deletion's intent is asked for by what closes it.
fn by_index(shelf: &Shelf<'_>, index: u64, side: Side, both: bool) -> Result<Found, ProveError> {
    let mut found = None;
    shelf.entries(index, |at, bytes| {
        found = (at == index).then(|| bytes.to_vec());
        true
    })?;
    let Some(bytes) = found else {
        return Err(not_there(format!("the log ends before entry {index}")));
    };
    let (is_intent, closes) = match EntryHead::decode(&bytes).map(|head| head.summary) {
        Ok(EntrySummary::Intent(_)) => (true, None),
        Ok(EntrySummary::Outcome(outcome)) => (false, Some(outcome.intent)),
        _ => (false, None),
    };
    if let (Side::Intent, Some(intent)) = (side, closes) {
        return choose(deletion(shelf, intent)?, Side::Intent);
    }
    let other = match (both, is_intent, closes) {
        (true, true, _) => deletion(shelf, index)?.closing,
        (true, _, Some(intent)) => deletion(shelf, intent)?.intent,
        _ => None,
    };
    Ok(Found {
        index,
        bytes,
        other: other.map(|seen| leaf(&seen.bytes)),
    })
}

/// The deletion whose (first) intent has this index; whatever else stands there is in `refused`.
fn deletion(shelf: &Shelf<'_>, index: u64) -> Result<Deletion, ProveError> {
    let mut seen = Deletion::default();
    let naming = format!("\"intent\":{index},");
    shelf.entries(index, |at, bytes| {
        if at == index {
            let entry = Some(Seen {
                index,
                bytes: bytes.to_vec(),
            });
            match EntryHead::decode(bytes).map(|head| head.summary) {
                Ok(EntrySummary::Intent(_)) => seen.intent = entry,
                _ => seen.refused = entry,
            }
            return seen.refused.is_some();
        }
        let head = holds(bytes, &naming).then(|| EntryHead::decode(bytes));
        if let Some(Ok(head)) = head
            && let EntrySummary::Outcome(outcome) = head.summary
            && outcome.intent == index
        {
            seen.closing = Some(Seen {
                index: at,
                bytes: bytes.to_vec(),
            });
        }
        seen.closing.is_some()
    })?;
    Ok(seen)
}

fn request(shelf: &Shelf<'_>, id: &str, from: &mut u64) -> Result<Deletion, ProveError> {
    let mut seen = Deletion::default();
    let Ok(spelled) = serde_json::to_string(id) else {
        return Ok(seen);
    };
    // A text within an entry cannot hold this: its quotes are escaped.
    let naming = format!("\"request_id\":{spelled}");
    let mut first = None;
    shelf.entries(*from, |at, bytes| {
        if !holds(bytes, &naming) {
            return false;
        }
        first.get_or_insert(at);
        let entry = Some(Seen {
            index: at,
            bytes: bytes.to_vec(),
        });
        match EntryHead::decode(bytes).map(|head| head.summary) {
            Ok(EntrySummary::Intent(_)) if seen.intent.is_none() => seen.intent = entry,
            Ok(EntrySummary::Outcome(_)) => seen.closing = entry,
            Ok(EntrySummary::Refused) => seen.refused = entry,
            _ => {}
        }
        seen.closing.is_some() || seen.refused.is_some()
    })?;
    *from = first.unwrap_or(*from);
    Ok(seen)
}

fn choose(seen: Deletion, side: Side) -> Result<Found, ProveError> {
    let found = |entry: Seen, other: Option<&Seen>| Found {
        index: entry.index,
        bytes: entry.bytes,
        other: other.map(|other| leaf(&other.bytes)),
    };
    match (seen.intent, seen.closing, seen.refused, side) {
        (Some(intent), closing, _, Side::Intent) => Ok(found(intent, closing.as_ref())),
        (Some(intent), Some(closing), _, Side::Closing) => Ok(found(closing, Some(&intent))),
        (Some(intent), None, _, Side::Closing) => Err(ProveError::NotYet(format!(
            "the deletion of entry {} is in flight: no entry closes it (`--entry intent` proves its intent, leaf {})",
            intent.index,
            STANDARD.encode(leaf(&intent.bytes))
        ))),
        (None, Some(closing), _, _) => Ok(found(closing, None)),
        (None, None, Some(refused), _) => Ok(found(refused, None)),
        (None, None, None, _) => Err(not_there("no such entry".into())),
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|entry| entry.contains(text))
}
