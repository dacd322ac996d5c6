//! Makes a C2SP tlog-proof of an entry from the files of a log, with or without a running writer.
//!
//! 1. [`find`](mod@find) searches the bundles and the journal for the requested entry;
//! 2. [`prove`] waits until a checkpoint covers that entry;
//! 3. it builds the path from the tiles under that checkpoint, and verifies the proof before it
//!    returns it.

mod find;

pub(crate) use find::{Found, Side, Wanted};

use std::time::{Duration, Instant};

use super::{Location, Log, MissingRange};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::proof::{TlogProof, verify_inclusion};
use crate::audit::log::verifier_key::VerifierKey;

/// How long [`prove`] waits for a checkpoint that covers the entry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProveError {
    /// The log is damaged or unreadable.
    #[error(transparent)]
    Log(#[from] MissingRange),
    /// The log has no such entry.
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
    (wanted, side): (&Wanted, Side),
    given: Option<&Hash>,
    patience: Duration,
) -> Result<TlogProof, ProveError> {
    let until = Instant::now() + patience;
    let open = || location.open_for_proof(verifier);
    let mut from = 0;
    let found = loop {
        match find::find(&open, wanted, side, given.is_some(), &mut from) {
            Err(error) if may_come(location, &error) && Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            found => break found?,
        }
    };
    if let Some(given) = given {
        found.must_have(given)?;
    }
    loop {
        let log = open()?;
        if log.size() > found.index {
            return of(&log, found);
        }
        if Instant::now() >= until {
            return Err(ProveError::NotYet(format!(
                "entry {} is on record, but no checkpoint covers it yet (the newest covers {} entries)",
                found.index,
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

fn of(log: &Log, found: Found) -> Result<TlogProof, ProveError> {
    let index = found.index;
    let (Some(checkpoint), Some(note)) = (log.checkpoint(), log.note()) else {
        return Err(MissingRange::damaged("there is no checkpoint").into());
    };
    let path = log.reader().inclusion(index)?;
    // Verifies the proof before it leaves; if it fails, the log is damaged.
    let hash = leaf(&found.bytes);
    if !verify_inclusion(&hash, index, checkpoint.size, &path, &checkpoint.root) {
        let what = "it is not the entry that the checkpoint covers; see `lychgate audit verify`";
        return Err(MissingRange::damaged(what).at(index).into());
    }
    Ok(TlogProof {
        extra: Some(found.bytes),
        index,
        path,
        checkpoint: note.to_vec(),
    })
}

#[cfg(test)]
mod tests;
