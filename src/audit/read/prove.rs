//! Makes a C2SP tlog-proof of an entry from the files of a log, with or without a running writer.
//!
//! 1. [`find`] searches the bundles and the journal for the requested entry, by index, receipt or
//!    request id;
//! 2. [`proof_of`] builds the path from the tiles under a checkpoint that covers the entry. It adds the
//!    intents that a closing entry names, and verifies the finished proof;
//! 3. [`prove`] repeats both steps until the deletion is closed and a checkpoint covers the entry, or until a
//!    time limit;
//! 4. [`judge`] verifies a proof and returns what the proof shows ([`Evidence`]).

mod evidence;

pub(crate) use evidence::{Evidence, MissingPart, judge, max_bytes_apart};

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::query::{entries_of, first_of};
use super::{Location, Log, MissingRange, Raw};
use crate::audit::entry::{EntryHead, EntrySummary};
use crate::audit::log::key::VerifierKey;
use crate::audit::log::merkle::Hash;
use crate::audit::log::proof::TlogProof;
use crate::audit::log::to_base64;

/// How long a command waits until the deletion is closed and a checkpoint covers the entry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProveError {
    #[error(transparent)]
    Log(#[from] MissingRange),
    #[error("{0}")]
    NotThere(String),
    /// The deletion is not closed yet, or no checkpoint covers the entry yet.
    #[error("{0}; try again in a moment")]
    NotYet(String),
    /// The given leaf hash is neither that of the entry nor that of another entry of its deletion.
    #[error("{0}")]
    AnotherLeaf(String),
}

/// The entry to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Index(u64),
    /// The deletion whose (first) intent has this index.
    Deletion(u64),
    /// The deletion or the refusal with this request id.
    Request(String),
}

/// Which entry of a deletion to prove. For [`Wanted::Index`], the choice matters only if the index is that of
/// a closing entry: then `Intent` selects the intent that the entry closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Closing,
    Intent,
}

/// A verified proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proved {
    pub(crate) proof: TlogProof,
    /// The intents of the closing entry, if the proof has no room for them.
    pub(crate) apart: Option<Vec<u8>>,
}

/// Makes a proof of the wanted entry. If `given` is a leaf hash, it must be that of the wanted entry or
/// of another entry of the same deletion.
pub(crate) fn prove(
    location: &Location,
    verifier: &VerifierKey,
    wanted: &Wanted,
    side: Side,
    given: Option<&Hash>,
    patience: Duration,
) -> Result<Proved, ProveError> {
    let until = Instant::now() + patience;
    let open = || location.open(Some(verifier));
    loop {
        let proof = find(&open, wanted, side).and_then(|entry| {
            if let Some(given) = given {
                must_have(&open, &entry, given)?;
            }
            proof_of(&open()?, entry, verifier)
        });
        let may_come = match proof {
            Err(ProveError::NotYet(_)) => true,
            // A reader without the journal sees an entry only after a checkpoint covers it.
            Err(ProveError::NotThere(_)) => location.folder().is_none(),
            _ => false,
        };
        if !may_come || Instant::now() >= until {
            return proof;
        }
        std::thread::sleep(PAUSE);
    }
}

fn proof_of(log: &Log, entry: Raw, verifier: &VerifierKey) -> Result<Proved, ProveError> {
    let index = entry.index;
    if log.size() <= index {
        return Err(ProveError::NotYet(format!(
            "entry {index} is on record, but no checkpoint covers it yet (the newest covers {} entries)",
            log.size()
        )));
    }
    let path = log.reader.inclusion(index)?;
    let intents = intents_of(log, &entry)?;
    let (extra, apart) = evidence::compose(entry, &intents);
    let proof = TlogProof {
        extra: Some(extra),
        index,
        path,
        checkpoint: log.note.clone(),
    };
    judge(&proof, apart.as_deref(), None, verifier).map_err(|what| {
        MissingRange::damaged(format!("{what}; see `lychgate audit verify`")).at(index)
    })?;
    Ok(Proved { proof, apart })
}

/// The intents that `entry` names if it is a closing entry. Any other entry names none.
fn intents_of(log: &Log, entry: &Raw) -> Result<Vec<Raw>, MissingRange> {
    let Ok(EntrySummary::Outcome(closing)) =
        EntryHead::decode(&entry.bytes).map(|head| head.summary)
    else {
        return Ok(Vec::new());
    };
    let end = closing.intent.saturating_add(closing.leaves.len() as u64);
    if end > entry.index {
        let what = format!("it closes entry {}, which is not before it", closing.intent);
        return Err(MissingRange::damaged(what).at(entry.index));
    }
    let intents = closing.intent..end;
    intents.map(|index| log.reader.entry(index)).collect()
}

/// A function that opens the current state of the log.
type Open<'o> = &'o dyn Fn() -> Result<Log, MissingRange>;

fn find(open: Open<'_>, wanted: &Wanted, side: Side) -> Result<Raw, ProveError> {
    let (found, missing) = match wanted {
        Wanted::Index(index) | Wanted::Deletion(index) => {
            let missing = format!("the log ends before entry {index}");
            (open()?.entry(*index)?, missing)
        }
        Wanted::Request(id) => {
            let missing = format!("the log has no entry of request {id}");
            (first_of(&mut open()?, id)?, missing)
        }
    };
    let found = found.ok_or(ProveError::NotThere(missing))?;
    let intent = match wanted {
        Wanted::Index(_) if side == Side::Intent => closed_by(&found),
        Wanted::Index(_) => None,
        Wanted::Deletion(index) => Some(*index),
        Wanted::Request(_) => found.deletion(),
    };
    let Some(intent) = intent else {
        return Ok(found);
    };
    let (intent, closing) = deletion(open, intent)?;
    match (closing, side) {
        (_, Side::Intent) => Ok(intent),
        (Ok(Some(closing)), Side::Closing) => Ok(closing),
        (Err(missing), Side::Closing) => Err(missing.into()),
        (Ok(None), Side::Closing) => Err(ProveError::NotYet(format!(
            "the deletion of entry {} is in flight: no entry closes it (`--entry intent` proves its intent, leaf {})",
            intent.index,
            to_base64(&intent.leaf())
        ))),
    }
}

/// Checks that `given` is the leaf hash of `entry` or of another entry of the same deletion.
fn must_have(open: Open<'_>, entry: &Raw, given: &Hash) -> Result<(), ProveError> {
    let index = entry.index;
    let is_of_it = match EntryHead::decode(&entry.bytes).map(|head| head.summary) {
        _ if entry.leaf() == *given => true,
        Ok(EntrySummary::Outcome(closing)) => closing.leaves.contains(&to_base64(given).into()),
        Ok(EntrySummary::Intent(intent)) => {
            let (first, closing) = deletion(open, intent.first(index))?;
            first.leaf() == *given || closing?.is_some_and(|closing| closing.leaf() == *given)
        }
        _ => false,
    };
    match is_of_it {
        true => Ok(()),
        false => Err(ProveError::AnotherLeaf(format!(
            "the leaf given is neither that of entry {index} nor of another entry of its deletion: the log does not bear it out"
        ))),
    }
}

/// The index of the intent that an entry closes; `None` if the entry is not an outcome.
fn closed_by(entry: &Raw) -> Option<u64> {
    match EntryHead::decode(&entry.bytes).ok()?.summary {
        EntrySummary::Outcome(outcome) => Some(outcome.intent),
        _ => None,
    }
}

/// The closing entry of a deletion, if there is one; the error is a range that may hide it.
type Closing = Result<Option<Raw>, MissingRange>;

/// The deletion at this index: its first intent, and its closing entry.
fn deletion(open: Open<'_>, index: u64) -> Result<(Raw, Closing), ProveError> {
    let mut intent = None;
    let (closing, missing) = entries_of(&mut open()?, index, |raw| {
        if closed_by(&raw).is_some() {
            return ControlFlow::Break(raw);
        }
        if raw.index == index {
            intent = Some(raw);
        }
        ControlFlow::Continue(())
    });
    let Some(intent) = intent else {
        if let Some(range) = missing.hiding(index) {
            return Err(range.clone().into());
        }
        let what = format!("entry {index} is not an intent, so this is not a receipt of this log");
        return Err(ProveError::NotThere(what));
    };
    let closing = match closing {
        None => missing.hides_nothing().map(|()| None),
        found => Ok(found),
    };
    Ok((intent, closing))
}

#[cfg(test)]
mod tests;
