//! Makes a C2SP tlog-proof of an entry from the files of a log, beside a running writer or without one.
//!
//! 1. [`find`](mod@find) looks for the entry that is meant, in the bundles and in the journal behind them;
//! 2. the newest checkpoint is waited for until it covers that entry;
//! 3. the path is made from the tiles under that checkpoint, and checked before it is given.

mod find;

pub use find::{Found, Side, Wanted};

use std::time::{Duration, Instant};

use super::{Location, Log, MissingRange};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::proof::{TlogProof, verify_inclusion};
use crate::audit::log::verifier_key::VerifierKey;

/// A checkpoint that covers the entry is waited for as long as this.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// It is looked for as often as this.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] MissingRange),
    /// Nothing in the log is what was asked for.
    #[error("{0}")]
    NotThere(String),
    /// It is there, and not closed or not under a checkpoint in time.
    #[error("{0}; asked again in a moment it may be")]
    NotYet(String),
    /// The leaf that was given is not the log's.
    #[error("{0}")]
    AnotherLeaf(String),
}

/// Proves what is wanted; with a leaf, only where it is that of the intent or of what closes it.
///
/// # Errors
/// Why there is no proof, at the latest when `patience` is over.
pub fn prove(
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
                "entry {} is on record and under no checkpoint yet ({} entries are)",
                found.index,
                log.size()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Without the journal an entry is seen once a checkpoint covers it, and not before.
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
    // What is handed out holds, or the log is damaged.
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
