//! Verifies that a trail matches its checkpoint, and that its entries are consistent in format,
//! order and time. At most one outcome may close an intent, and this outcome must contain the hash
//! of the intent's exact bytes.
//!
//! 1. [`check`] reads a checkpoint, lists the files ([`listing`]), and makes one pass ([`walk`])
//!    through the entries, up to the last one in the journal;
//! 2. [`tree`] computes the tree from the entries, and compares every tile and bundle with it;
//! 3. [`checker`] verifies each entry, and that the entries of each deletion fit together;
//! 4. [`receipt`] checks a receipt against the entries.
//!
//! The journal's reader verifies the digests, the tags and the chain of the batches. Verification
//! needs little memory, whatever the trail's length.

mod checker;
mod listing;
mod receipt;
mod tree;
mod walk;

pub use checker::Summary;
pub use listing::Others;
pub(crate) use receipt::{Claim, Finding, parse_receipt};

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

use listing::Listing;
use walk::Journal;

use crate::audit::disk::if_exists;
use crate::audit::disk::names::{CHECKPOINT, VERIFIER};
use crate::audit::entry::Entry;
use crate::audit::journal::Place;
use crate::audit::log::checkpoint::{Checkpoint, MAX_NOTE_BYTES};
use crate::audit::log::key::{Key, VerifierKey};
use crate::audit::log::merkle::Hash;
use crate::audit::read::{Files, FolderFiles, Location, Trouble};

/// The maximum number of attempts to read a consistent state of the folder while a writer changes
/// it.
const LOOKS: u32 = 5;

/// The log to verify, and the keys to verify it with.
#[derive(Clone, Copy, Debug)]
pub struct Job<'j> {
    /// Where the log is.
    pub location: &'j Location,
    /// The signing key. With it, the journal's reader also verifies the tags of the batches.
    pub key: Option<&'j Key>,
    /// The public key that must have signed the checkpoint.
    pub verifier: Option<&'j VerifierKey>,
    /// An earlier checkpoint that the caller kept; the log must be consistent with it.
    pub against: Option<&'j Checkpoint>,
}

/// Verifies the trail in a folder with `key` or, if that is `None`, with the public key in the
/// folder. Passes each entry to `seen` with its index and RFC 6962 leaf hash. Verification may
/// still fail after these calls.
///
/// # Errors
/// Returns the first fault.
pub fn folder(
    directory: &Path,
    key: Option<&Key>,
    mut seen: impl FnMut(u64, &Entry, &Hash),
) -> Result<Summary, Failure> {
    let own = match key {
        Some(key) => Some(key.verifier().clone()),
        None => own_verifier(directory)?,
    };
    let job = Job {
        location: &Location::Folder(directory.to_owned()),
        key,
        verifier: own.as_ref(),
        against: None,
    };
    check(&job, |index, bytes, leaf| {
        // If the bytes are not an entry, `check` returns that failure after the last entry.
        if let Ok(entry) = Entry::decode(bytes) {
            seen(index, &entry, leaf);
        }
    })
}

/// Verifies a trail from its files alone: the checkpoint, every tile and bundle in the folder, the
/// journal, and every entry. Calls `seen` like [`folder`], but with the bytes of the entry.
///
/// Takes no lock, so a gateway may write meanwhile. Counts open intents; they are no fault. Keeps
/// in memory: one bundle and one batch of the journal at a time, all open intents, and 24 bytes for
/// each tile and bundle.
///
/// # Errors
/// Returns the first fault.
pub fn check(job: &Job<'_>, seen: impl FnMut(u64, &[u8], &Hash)) -> Result<Summary, Failure> {
    let (checkpoint, listing, journal) = look(job)?;
    walk::walk(job, checkpoint.as_ref(), &listing, journal, seen)
}

/// The public key in a folder; `None` if the folder has no public key.
///
/// # Errors
/// If the file is unreadable or not a key.
pub fn own_verifier(directory: &Path) -> Result<Option<VerifierKey>, Failure> {
    let file = FolderFiles::open(directory).and_then(|files| files.file(VERIFIER, 1_024));
    let bytes = if_exists(file).map_err(|error| Failure::unreadable(VERIFIER, &error))?;
    // A gateway that has just started may have created the file but not written the key yet.
    let Some(bytes) = bytes.flatten().filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    VerifierKey::parse(&String::from_utf8_lossy(&bytes))
        .map(Some)
        .map_err(|error| Failure::damaged(error).in_file(VERIFIER))
}

/// Reads a consistent state of the log: first the checkpoint, then the files that it covers, then
/// the journal.
fn look<'j>(job: &Job<'j>) -> Result<(Option<Checkpoint>, Listing, Journal<'j>), Failure> {
    let files = job.location.files();
    let files = files.map_err(|missing| Failure::new(missing.trouble, missing.what))?;
    let mut looks = 1;
    loop {
        let checkpoint = read_checkpoint(job, &*files)?;
        let size = checkpoint.as_ref().map_or(0, |c| c.size);
        let listing = Listing::of(job.location, Arc::clone(&files), size)?;
        let journal = Journal::open(job.location.folder(), job.key);
        let complete = listing.complete(size);
        // A writer may have published and pruned between two of these reads.
        match complete.and_then(|()| journal.must_reach(size)) {
            Err(_) if looks < LOOKS => looks += 1,
            complete => {
                if let Some(kept) = job.against.filter(|kept| size < kept.size) {
                    let what = format!(
                        "the log was rolled back: it has {size} entries, and a checkpoint of {} was kept",
                        kept.size
                    );
                    return Err(Failure::damaged(what).in_file(CHECKPOINT).at(size));
                }
                return complete.map(|()| (checkpoint, listing, journal));
            }
        }
    }
}

/// Reads and verifies the checkpoint. A folder may lack a checkpoint; a log at an address must have
/// one.
fn read_checkpoint(job: &Job<'_>, files: &dyn Files) -> Result<Option<Checkpoint>, Failure> {
    let bytes = files.file(CHECKPOINT, MAX_NOTE_BYTES);
    let bytes = bytes.map_err(|error| Failure::unreadable(CHECKPOINT, &error))?;
    let Some(bytes) = bytes else {
        return match job.location.folder() {
            Some(_) => Ok(None),
            None => Err(Failure::missing("is missing: nothing is published").in_file(CHECKPOINT)),
        };
    };
    let opened = match job.verifier {
        Some(verifier) => Checkpoint::open(&bytes, verifier).map_err(|error| error.to_string()),
        None => Err("there is no verifier key to judge it by".into()),
    };
    opened
        .map(Some)
        .map_err(|what| Failure::damaged(what).in_file(CHECKPOINT))
}

/// The first fault of a trail, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of the fault.
    pub trouble: Trouble,
    /// The index of the faulty entry, if the fault is in an entry.
    pub index: Option<u64>,
    /// The place of the batch, if the fault is in the journal.
    pub place: Option<Place>,
    /// The file, relative to the folder, if the fault is in a tile, a bundle or the checkpoint.
    pub file: Option<String>,
    /// A description of the fault.
    pub what: String,
}

impl Failure {
    fn new(trouble: Trouble, what: impl fmt::Display) -> Self {
        Self {
            trouble,
            index: None,
            place: None,
            file: None,
            what: what.to_string(),
        }
    }

    pub(crate) fn damaged(what: impl fmt::Display) -> Self {
        Self::new(Trouble::Damaged, what)
    }

    fn missing(what: impl fmt::Display) -> Self {
        Self::new(Trouble::Missing, what)
    }

    fn in_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    fn placed(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    fn unreadable(file: &str, error: &io::Error) -> Self {
        let trouble = match error.kind() {
            io::ErrorKind::NotFound => Trouble::Missing,
            kind => Trouble::of_file(kind),
        };
        Self::new(trouble, format!("cannot be read: {error}")).in_file(file)
    }
}

impl std::error::Error for Failure {}

/// Examples: `entry 5 (journal segment 0000000001, offset 4096): …` and
/// `entry 300 (tile/0/001.p/44): …`.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let segment = self.place.map(|place| place.to_string());
        let place = self.file.clone().or(segment);
        match (self.index, place) {
            (Some(index), Some(place)) => write!(f, "entry {index} ({place}): {}", self.what),
            (Some(index), None) => write!(f, "entry {index}: {}", self.what),
            (None, Some(place)) => write!(f, "{place}: {}", self.what),
            (None, None) => f.write_str(&self.what),
        }
    }
}

#[cfg(test)]
mod damage;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
