//! Makes a C2SP tlog-proof of an entry from the files of a log, with or without a running writer.
//!
//! 1. [`find`] searches the bundles and the journal for the requested entry, by an index, a receipt
//!    or a request id;
//! 2. [`prove`] waits until a checkpoint covers that entry;
//! 3. it builds the path from the tiles under that checkpoint, and verifies the proof before it
//!    returns it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::query::{Raw, entries_of, first_of};
use super::{Location, Log, MissingRange};
use crate::audit::entry::{EntryHead, EntrySummary};
use crate::audit::log::merkle::Hash;
use crate::audit::log::proof::{TlogProof, verify_inclusion};
use crate::audit::log::verifier_key::VerifierKey;

/// How long [`prove`] waits for a checkpoint that covers the entry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Log(#[from] MissingRange),
    #[error("{0}")]
    NotThere(String),
    /// The deletion is not closed, or no checkpoint covers the entry in time.
    #[error("{0}; try again in a moment")]
    NotYet(String),
    /// The given leaf differs from the log's.
    #[error("{0}")]
    AnotherLeaf(String),
}

/// Makes a proof of the wanted entry. A given leaf must be that of the deletion's intent or of its
/// closing entry.
pub(crate) fn prove(
    location: &Location,
    verifier: &VerifierKey,
    wanted: &Wanted,
    side: Side,
    given: Option<&Hash>,
    patience: Duration,
) -> Result<TlogProof, ProveError> {
    let until = Instant::now() + patience;
    let open = || location.open_for_proof(verifier);
    let mut from = 0;
    let found = loop {
        match find(&open, wanted, side, given.is_some(), &mut from) {
            Err(error) if may_come(location, &error) && Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            found => break found?,
        }
    };
    if let Some(given) = given {
        found.must_have(given)?;
    }
    let index = found.entry.index;
    loop {
        let log = open()?;
        if log.size() > index {
            return of(&log, found.entry);
        }
        if Instant::now() >= until {
            return Err(ProveError::NotYet(format!(
                "entry {index} is on record, but no checkpoint covers it yet (the newest covers {} entries)",
                log.size()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// A reader without the journal sees an entry only after a checkpoint covers it.
fn may_come(location: &Location, error: &ProveError) -> bool {
    match error {
        ProveError::NotYet(_) => true,
        ProveError::NotThere(_) => location.folder().is_none(),
        _ => false,
    }
}

fn of(log: &Log, entry: Raw) -> Result<TlogProof, ProveError> {
    let index = entry.index;
    let (Some(checkpoint), Some(note)) = (log.checkpoint(), log.note()) else {
        return Err(MissingRange::damaged("there is no checkpoint").into());
    };
    let path = log.reader().inclusion(index)?;
    // Verifies the proof before it leaves; if it fails, the log is damaged.
    if !verify_inclusion(
        &entry.leaf(),
        index,
        checkpoint.size,
        &path,
        &checkpoint.root,
    ) {
        let what = "it is not the entry that the checkpoint covers; see `lychgate audit verify`";
        return Err(MissingRange::damaged(what).at(index).into());
    }
    Ok(TlogProof {
        extra: Some(entry.bytes),
        index,
        path,
        checkpoint: note.to_vec(),
    })
}

/// Opens the present state of the log.
type Open<'o> = &'o dyn Fn() -> Result<Log, MissingRange>;

/// The entry to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
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

/// The entry to prove.
#[derive(Debug)]
struct Found {
    entry: Raw,
    /// The deletion's other entry, if it was needed.
    other: Option<Raw>,
}

impl Found {
    /// Checks that a leaf is that of this entry or of the deletion's other one.
    fn must_have(&self, given: &Hash) -> Result<(), ProveError> {
        let other = self.other.as_ref().map(Raw::leaf);
        if self.entry.leaf() == *given || other == Some(*given) {
            return Ok(());
        }
        let index = self.entry.index;
        Err(ProveError::AnotherLeaf(format!(
            "the leaf given is neither that of entry {index} nor of the deletion's other entry: the log does not bear it out"
        )))
    }
}

/// Finds the entry. Starts at `from`, and moves it to the start for the next try.
fn find(
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
                let what = format!("the log has no entry of request {id}");
                return Err(ProveError::NotThere(what));
            };
            *from = first.index;
            match first.deletion() {
                Some(intent) => choose(deletion(open, intent)?, side),
                None => Ok(Found {
                    entry: first,
                    other: None,
                }),
            }
        }
    }
}

fn entry(open: Open<'_>, index: u64) -> Result<Raw, ProveError> {
    let none = || ProveError::NotThere(format!("the log ends before entry {index}"));
    let bytes = open()?.entry(index)?.ok_or_else(none)?;
    Ok(Raw { index, bytes })
}

/// The entry with this index. If it is a closing entry and the caller wants the intent, the intent.
fn by_index(open: Open<'_>, index: u64, side: Side, both: bool) -> Result<Found, ProveError> {
    let entry = entry(open, index)?;
    let other = match EntryHead::decode(&entry.bytes).map(|head| head.summary) {
        Ok(EntrySummary::Outcome(outcome)) if side == Side::Intent => {
            return choose(deletion(open, outcome.intent)?, side);
        }
        Ok(EntrySummary::Outcome(outcome)) if both => Some(deletion(open, outcome.intent)?.0),
        Ok(EntrySummary::Intent(intent)) if both => deletion(open, intent.first(index))?.1,
        _ => None,
    };
    Ok(Found { entry, other })
}

/// The intent with this index, the first of its deletion, and the deletion's closing entry.
fn deletion(open: Open<'_>, index: u64) -> Result<(Raw, Option<Raw>), ProveError> {
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
        ProveError::NotThere(what)
    };
    Ok((intent.ok_or_else(none)?, closing))
}

fn choose((intent, closing): (Raw, Option<Raw>), side: Side) -> Result<Found, ProveError> {
    match (closing, side) {
        (other, Side::Intent) => Ok(Found {
            entry: intent,
            other,
        }),
        (Some(entry), Side::Closing) => Ok(Found {
            entry,
            other: Some(intent),
        }),
        (None, Side::Closing) => Err(ProveError::NotYet(format!(
            "the deletion of entry {} is in flight: no entry closes it (`--entry intent` proves its intent, leaf {})",
            intent.index,
            STANDARD.encode(intent.leaf())
        ))),
    }
}

#[cfg(test)]
mod tests;
