//! Makes a C2SP tlog-proof of an entry from the files of a log, beside a running writer or without one.
//!
//! 1. [`find`](mod@find) looks for the entry that is meant, in the bundles and in the journal behind them;
//! 2. the newest checkpoint is waited for until it covers that entry;
//! 3. [`shelf`] reads the tiles that the path is made from, and the path is checked before it is given.

mod find;
mod shelf;

pub use find::{Found, Side, Wanted};

use std::path::Path;
use std::time::{Duration, Instant};

use super::Files;
use super::verify::{CHECKPOINT, Failure, Trouble};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::proof::{TlogProof, inclusion, verify_inclusion};
use crate::audit::log::verifier_key::VerifierKey;
use shelf::Shelf;

/// A checkpoint that covers the entry is waited for as long as this.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// It is looked for as often as this.
const PAUSE: Duration = Duration::from_millis(50);

/// The log that a proof is made from.
#[derive(Clone, Copy, Debug)]
pub struct Log<'l> {
    /// Its published files.
    pub files: &'l dyn Files,
    /// The audit folder, where its journal can be read too.
    pub journal: Option<&'l Path>,
}

impl Log<'_> {
    /// Without the journal an entry is seen once a checkpoint covers it, and not before.
    fn may_come(&self, error: &ProveError) -> bool {
        match error {
            ProveError::NotYet(_) => true,
            ProveError::NotThere(_) => self.journal.is_none(),
            _ => false,
        }
    }
}

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProveError {
    /// The log is damaged or cannot be read.
    #[error(transparent)]
    Log(#[from] Failure),
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
    log: &Log<'_>,
    verifier: &VerifierKey,
    (wanted, side): (&Wanted, Side),
    given: Option<&Hash>,
    patience: Duration,
) -> Result<TlogProof, ProveError> {
    let until = Instant::now() + patience;
    let mut from = 0;
    let found = loop {
        let (shelf, _) = look(log, verifier)?;
        match find::find(&shelf, wanted, side, given.is_some(), &mut from) {
            Err(error) if log.may_come(&error) && Instant::now() < until => {
                std::thread::sleep(PAUSE);
            }
            found => break found?,
        }
    };
    if let Some(given) = given {
        found.must_have(given)?;
    }
    loop {
        let (shelf, checkpoint) = look(log, verifier)?;
        if let Some((checkpoint, bytes)) = checkpoint
            && checkpoint.size > found.index
        {
            return of(&shelf, found, &checkpoint, bytes);
        }
        if Instant::now() >= until {
            return Err(ProveError::NotYet(format!(
                "entry {} is on record and under no checkpoint yet ({} entries are)",
                found.index,
                shelf.size()
            )));
        }
        std::thread::sleep(PAUSE);
    }
}

/// A checkpoint, and its bytes as they are signed.
type Signed = (Checkpoint, Vec<u8>);

/// The newest checkpoint, where there is one, and the files below it.
fn look<'l>(
    log: &'l Log<'l>,
    verifier: &VerifierKey,
) -> Result<(Shelf<'l>, Option<Signed>), Failure> {
    let bytes = shelf::checkpoint(log)?;
    let opened = bytes.map(|bytes| match Checkpoint::open(&bytes, verifier) {
        Ok(checkpoint) => Ok((checkpoint, bytes)),
        Err(error) => Err(Failure::new(Trouble::Damaged, error.to_string()).in_file(CHECKPOINT)),
    });
    let opened = opened.transpose()?;
    let size = opened.as_ref().map_or(0, |(checkpoint, _)| checkpoint.size);
    Ok((Shelf::new(log, size), opened))
}

fn of(
    shelf: &Shelf<'_>,
    found: Found,
    checkpoint: &Checkpoint,
    bytes: Vec<u8>,
) -> Result<TlogProof, ProveError> {
    let index = found.index;
    let path = inclusion(index, checkpoint.size, shelf)
        .map_err(|error| Failure::unreadable("tile", &error).at(index))?;
    // What is handed out holds, or the log is damaged.
    let hash = leaf(&found.bytes);
    if !verify_inclusion(&hash, index, checkpoint.size, &path, &checkpoint.root) {
        let what = "it is not the entry that the checkpoint covers, or a tile on its path is damaged; see `lychgate audit verify`";
        return Err(Failure::new(Trouble::Damaged, what).at(index).into());
    }
    Ok(TlogProof {
        extra: Some(found.bytes),
        index,
        path,
        checkpoint: bytes,
    })
}

#[cfg(test)]
mod tests;
