//! Verifies that a trail is what its checkpoint says, and that its entries are consistent: their
//! format, order and times, and that at most one outcome closes each intent and names its exact
//! bytes.
//!
//! 1. [`check`] reads a checkpoint, lists the files ([`listing`]), and makes one pass ([`walk`])
//!    through the entries, up to the last one in the journal;
//! 2. [`tree`] computes the tree from the entries, and compares every tile and bundle with it;
//! 3. [`checker`] verifies the entries; [`deletions`] and [`commands`] hold its rules;
//! 4. [`receipt`] checks a receipt against the entries.
//!
//! The journal's reader verifies digests, tags and the chain. A trail of any length needs little
//! memory.

mod checker;
mod commands;
mod deletions;
mod failure;
mod listing;
mod receipt;
mod tree;
mod walk;

pub use checker::Summary;
pub use failure::Failure;
pub use listing::Others;
pub(crate) use receipt::{Claim, ClaimCheck, Finding, parse_receipt};

pub use crate::audit::read::Trouble;

use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use listing::Listing;
use walk::{Journal, Walk};

use crate::audit::disk::names::{CHECKPOINT, VERIFIER};
use crate::audit::entry::Entry;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle::Hash;
use crate::audit::log::note::MAX_NOTE_BYTES;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::{Files, FolderFiles, Location};

/// How many times to read the folder if its writer changes it during the reading.
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

/// Verifies the trail in a folder by the given key, or by the folder's own public key. Passes each
/// entry to `seen` with its index and RFC 6962 leaf hash, before it is known whether the whole
/// trail is sound.
///
/// # Errors
/// The first fault.
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
        // `check` reports bytes that are not an entry at its end.
        if let Ok(entry) = Entry::decode(bytes) {
            seen(index, &entry, leaf);
        }
    })
}

/// Verifies a trail from its files alone: checkpoint, every tile and bundle in the folder, the
/// journal, and every entry. Calls `seen` like [`folder`].
///
/// Takes no lock and may run beside a writer: an open intent is counted and is not a fault. Holds
/// one bundle and one batch of the journal at a time, the open intents, and 24 bytes for each file
/// of the tree.
///
/// # Errors
/// The first fault.
pub fn check(job: &Job<'_>, seen: impl FnMut(u64, &[u8], &Hash)) -> Result<Summary, Failure> {
    let (checkpoint, listing, journal) = look(job)?;
    if checkpoint.is_none() && job.location.folder().is_none() {
        let what = "is missing: nothing is published";
        return Err(Failure::new(Trouble::Missing, what).in_file(CHECKPOINT));
    }
    let size = checkpoint.as_ref().map_or(0, |c| c.size);
    not_rolled_back(job.against, size)?;
    let mut walk = Walk::new(job, &listing, journal, seen);
    walk.covered(size)?;
    if let Some(checkpoint) = &checkpoint {
        walk.judge(checkpoint)?;
    }
    walk.behind(size)?;
    let mut summary = walk.end(size)?;
    summary.other_files = listing.others.clone();
    if let Some(checkpoint) = checkpoint {
        summary.covered = Some(checkpoint.size);
        summary.root = Some(STANDARD.encode(checkpoint.root));
    }
    Ok(summary)
}

/// The public key in a folder; `None` if it has none.
///
/// # Errors
/// If the file is unreadable or not a key.
pub fn own_verifier(directory: &Path) -> Result<Option<VerifierKey>, Failure> {
    let files = match FolderFiles::open(directory) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::unreadable(VERIFIER, &error)),
    };
    let Some(bytes) = read(&files, VERIFIER, 1_024)? else {
        return Ok(None);
    };
    // A gateway that has just started may have created the file without content.
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    VerifierKey::parse(&text)
        .map(Some)
        .map_err(|error| Failure::damaged(error.to_string()).in_file(VERIFIER))
}

/// Reads a consistent state of the folder: first the checkpoint, then the files that it covers,
/// then the journal.
fn look<'j>(job: &Job<'j>) -> Result<(Option<Checkpoint>, Listing, Journal<'j>), Failure> {
    let files: Arc<dyn Files> = job.location.files()?;
    let mut looks = 1;
    loop {
        let checkpoint = read_checkpoint(job, &*files)?;
        let size = checkpoint.as_ref().map_or(0, |c| c.size);
        let listing = Listing::of(job.location, &files, size)?;
        let journal = Journal::open(job.location.folder(), job.key);
        // A writer may have published and pruned between two of these reads.
        match listing
            .complete(size)
            .and_then(|()| reaches(&journal, size))
        {
            Err(failure) if looks == LOOKS => {
                not_rolled_back(job.against, size)?;
                return Err(failure);
            }
            Err(_) => looks += 1,
            Ok(()) => return Ok((checkpoint, listing, journal)),
        }
    }
}

/// Checks that the journal begins at the checkpoint's end or before it.
fn reaches(journal: &Journal<'_>, size: u64) -> Result<(), Failure> {
    match journal.first.filter(|first| *first > size) {
        None => Ok(()),
        Some(first) => {
            let what = format!(
                "the journal begins with entry {first}, and the checkpoint covers {size}: those between are missing"
            );
            Err(Failure::new(Trouble::Missing, what).at(size))
        }
    }
}

fn read_checkpoint(job: &Job<'_>, files: &dyn Files) -> Result<Option<Checkpoint>, Failure> {
    let Some(bytes) = read(files, CHECKPOINT, MAX_NOTE_BYTES)? else {
        return Ok(None);
    };
    let failure = |what: String| Failure::damaged(what).in_file(CHECKPOINT);
    let Some(verifier) = job.verifier else {
        return Err(failure("there is no verifier key to judge it by".into()));
    };
    Checkpoint::open(&bytes, verifier)
        .map(Some)
        .map_err(|error| failure(error.to_string()))
}

fn read(files: &dyn Files, name: &str, most: usize) -> Result<Option<Vec<u8>>, Failure> {
    let bytes = files.file(name, most);
    bytes.map_err(|error| Failure::unreadable(name, &error))
}

fn not_rolled_back(kept: Option<&Checkpoint>, size: u64) -> Result<(), Failure> {
    let Some(kept) = kept.filter(|kept| size < kept.size) else {
        return Ok(());
    };
    let what = format!(
        "the log was rolled back: it has {size} entries, and a checkpoint of {} was kept",
        kept.size
    );
    Err(Failure::damaged(what).in_file(CHECKPOINT).at(size))
}

#[cfg(test)]
mod damage;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
