//! A whole audit folder, from its checkpoint, tiles and bundles to the journal's last entry.

use std::io;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::failure::{Failure, Trouble};
use super::files::Files;
use super::source::{Journal, Source};
use super::tree::Tree;
use super::{Checker, Fault, Summary, tail, well_formed};
use crate::audit::checkpoint::Checkpoint;
use crate::audit::entry::Entry;
use crate::audit::journal::{self, Place};
use crate::audit::key::Key;
use crate::audit::merkle::{self, Hash};
use crate::audit::note::MAX_NOTE_BYTES;
use crate::audit::tiles::bundles_at;
use crate::audit::verifier_key::VerifierKey;

/// The file with the newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// The file with the public key.
pub const VERIFIER: &str = "verifier";
/// So often the folder is looked at again where its writer has gone on between two looks.
const LOOKS: u32 = 5;

/// A log publishes within a second, and takes no deletion when that is ten late.
const YOUNG: Duration = Duration::from_secs(10);

/// What is to be verified, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'j> {
    /// The audit folder.
    pub directory: &'j Path,
    /// The signing key: with it the tags of the journal's batches are checked too.
    pub key: Option<&'j Key>,
    /// The key that the checkpoint must be signed by.
    pub verifier: Option<&'j VerifierKey>,
    /// A checkpoint that was kept: the log must go on from it.
    pub against: Option<&'j Checkpoint>,
}

/// Verifies the trail in a folder, by the key, or else by the folder's own. Each entry is shown to
/// `seen` with its index and RFC 6962 leaf hash, before it is known whether the whole holds.
///
/// # Errors
/// The first thing that is wrong.
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
        directory,
        key,
        verifier: own.as_ref(),
        against: None,
    };
    check(&job, |index, bytes, leaf| {
        // What is no entry is a fault, which is told in the end.
        if let Ok(entry) = serde_json::from_slice(bytes) {
            seen(index, &entry, leaf);
        }
    })
}

/// Verifies a trail from its files alone: checkpoint, every tile and bundle that stands there, the
/// journal, and every entry. `seen` is as for [`folder`].
///
/// Takes no lock and may run beside a writer: open intents are counted, not a fault. Holds one bundle
/// and one batch of the journal at a time, the open intents, and 24 bytes for each file of the tree.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(job: &Job<'_>, seen: impl FnMut(u64, &[u8], &Hash)) -> Result<Summary, Failure> {
    let (checkpoint, files, journal) = look(job)?;
    let size = checkpoint.as_ref().map_or(0, |c| c.size);
    if let Some(kept) = job.against {
        not_rolled_back(kept, size)?;
    }
    files.complete(size)?;
    let mut walk = Walk {
        job,
        files: &files,
        journal,
        tree: Tree::new(&files),
        checker: Checker::default(),
        fault: None,
        kept: None,
        seen,
    };
    walk.keep();
    walk.covered(size)?;
    if let Some(checkpoint) = &checkpoint {
        walk.judge(checkpoint)?;
    }
    walk.behind(size)?;
    let mut summary = walk.end(size)?;
    if let Some(checkpoint) = checkpoint {
        summary.covered = Some(checkpoint.size);
        summary.root = Some(STANDARD.encode(checkpoint.root));
    }
    Ok(summary)
}

/// The public key that a folder holds; `None` where it holds none.
///
/// # Errors
/// Where it cannot be read, or is no key.
pub fn own_verifier(directory: &Path) -> Result<Option<VerifierKey>, Failure> {
    let Some(bytes) = read_small(directory, VERIFIER, 1_024)? else {
        return Ok(None);
    };
    // A gateway that has only just begun may have made it, and not yet written it.
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    VerifierKey::parse(&text)
        .map(Some)
        .map_err(|error| Failure::new(Trouble::Damaged, error.to_string()).in_file(VERIFIER))
}

/// What stands in the folder at one time: first the checkpoint, then what it covers, then the journal
/// that all of it was made from.
fn look<'j>(job: &Job<'j>) -> Result<(Option<Checkpoint>, Files, Journal<'j>), Failure> {
    let mut looks = 1;
    loop {
        let checkpoint = read_checkpoint(job)?;
        let files = Files::list(job.directory)?;
        let journal = Journal::open(job.directory, job.key);
        let size = checkpoint.as_ref().map_or(0, |c| c.size);
        match journal.first {
            // A writer beside us has published and pruned meanwhile.
            Some(first) if first > size && looks < LOOKS => looks += 1,
            Some(first) if first > size => {
                let what = format!(
                    "the journal begins with entry {first}, and the checkpoint covers {size}: those between are missing"
                );
                return Err(Failure::new(Trouble::Missing, what).at(size));
            }
            _ => return Ok((checkpoint, files, journal)),
        }
    }
}

fn read_checkpoint(job: &Job<'_>) -> Result<Option<Checkpoint>, Failure> {
    let Some(bytes) = read_small(job.directory, CHECKPOINT, MAX_NOTE_BYTES)? else {
        return Ok(None);
    };
    let failure = |what: String| Failure::new(Trouble::Damaged, what).in_file(CHECKPOINT);
    let Some(verifier) = job.verifier else {
        return Err(failure("there is no verifier key to judge it by".into()));
    };
    Checkpoint::open(&bytes, verifier)
        .map(Some)
        .map_err(|error| failure(error.to_string()))
}

/// A small file; `None` where there is none.
fn read_small(directory: &Path, name: &str, most: usize) -> Result<Option<Vec<u8>>, Failure> {
    use std::io::Read as _;
    let read = || -> io::Result<Vec<u8>> {
        let file = std::fs::File::open(directory.join(name))?;
        let mut bytes = Vec::new();
        file.take(most as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::unreadable(name, &error)),
    }
}

fn not_rolled_back(kept: &Checkpoint, size: u64) -> Result<(), Failure> {
    if size >= kept.size {
        return Ok(());
    }
    let what = format!(
        "the log was rolled back: it has {size} entries, and a checkpoint of {} was kept",
        kept.size
    );
    Err(Failure::new(Trouble::Damaged, what)
        .in_file(CHECKPOINT)
        .at(size))
}

/// The way through a folder.
struct Walk<'f, 'j, S> {
    job: &'f Job<'j>,
    files: &'f Files,
    journal: Journal<'j>,
    tree: Tree<'f>,
    checker: Checker,
    /// The first thing that an entry says and that cannot be true: kept, since it may be the
    /// consequence of damage that the tree will name.
    fault: Option<(Fault, Option<Place>)>,
    /// The root at the kept checkpoint's size.
    kept: Option<Hash>,
    seen: S,
}

impl<S: FnMut(u64, &[u8], &Hash)> Walk<'_, '_, S> {
    /// Goes through the entries under the checkpoint.
    fn covered(&mut self, size: u64) -> Result<(), Failure> {
        let mut index = 0;
        for wanted in bundles_at(size) {
            let source = Source::read(self.files, wanted)?;
            for entry in source.entries(self.files, wanted)? {
                let leaf = merkle::leaf(entry);
                if let Some(read) = self.journal.take(index)
                    && read.bytes != entry
                {
                    let what = "the journal holds another entry here than the log";
                    let failure = Failure::new(Trouble::Damaged, what).at(index);
                    self.tree
                        .suspect_entry(index, failure.placed(Some(read.place)));
                }
                self.entry(index, entry, leaf, None)?;
                index += 1;
            }
        }
        Ok(())
    }

    /// Judges what was read by the checkpoint, and by the one that was kept.
    fn judge(&mut self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if self.tree.root() != checkpoint.root {
            self.tree.judge_edge()?;
            return Err(not_as_signed(&self.tree, checkpoint));
        }
        if let Some(suspect) = self.tree.suspect() {
            return Err(suspect.failure.clone());
        }
        if let (Some(kept), Some(root)) = (self.job.against, self.kept)
            && kept.root != root
        {
            let what = format!(
                "another history: its first {} entries are not those of the checkpoint that was kept",
                kept.size
            );
            return Err(Failure::new(Trouble::Damaged, what).in_file(CHECKPOINT));
        }
        Ok(())
    }

    /// Goes on with what stands in the journal alone.
    fn behind(&mut self, size: u64) -> Result<(), Failure> {
        let mut index = size;
        while let Some(read) = self.journal.take(index) {
            let leaf = merkle::leaf(&read.bytes);
            if self.fault.is_none()
                && let Err(what) = well_formed(&read.bytes)
            {
                self.fault = Some((Fault { index, what }, Some(read.place)));
            }
            self.entry(index, &read.bytes, leaf, Some(read.place))?;
            index += 1;
        }
        Ok(())
    }

    fn end(mut self, size: u64) -> Result<Summary, Failure> {
        if let Some((fault, place)) = self.fault {
            return Err(Failure::of(fault, place));
        }
        let is_copy = size > 0 && is_no_gateways(self.job.directory);
        match self.journal.fault.take() {
            Some(fault) if fault.fault == journal::Fault::Missing && is_copy => {}
            Some(fault) => return Err(fault.into()),
            None if self.journal.end < size => return Err(cut_off(self.journal.end, size)),
            None => {}
        }
        self.tree.judge_edge()?;
        if let Some(suspect) = self.tree.suspect() {
            return Err(suspect.failure.clone());
        }
        self.tree.ends_here()?;
        let finished = self.checker.finish();
        let mut summary = finished.map_err(|fault| Failure::of(fault, None))?;
        if size == 0 && !self.files.is_empty() && summary.span() > YOUNG {
            let what = "is gone: tiles stand here, and the entries are not those of a log that has just begun";
            return Err(Failure::new(Trouble::Missing, what).in_file(CHECKPOINT));
        }
        if self.journal.first.is_none() && size == 0 {
            segments_must_be_there(self.job.directory)?;
        }
        summary.journal = self.journal.first;
        if !is_copy {
            summary.cut_off = tail::is_cut_off(self.job.directory, self.journal.last)?;
        }
        Ok(summary)
    }

    fn entry(
        &mut self,
        index: u64,
        bytes: &[u8],
        leaf: Hash,
        place: Option<Place>,
    ) -> Result<(), Failure> {
        if self.fault.is_none() {
            match self.checker.push(index, bytes, &leaf) {
                Ok(()) => (self.seen)(index, bytes, &leaf),
                Err(fault) => self.fault = Some((fault, place)),
            }
        }
        self.tree.push(bytes, leaf)?;
        self.keep();
        Ok(())
    }

    fn keep(&mut self) {
        if self
            .job
            .against
            .is_some_and(|kept| kept.size == self.tree.size())
        {
            self.kept = Some(self.tree.root());
        }
    }
}

/// The entries do not give the root that was signed: where they begin to differ, by the tiles.
fn not_as_signed(tree: &Tree<'_>, checkpoint: &Checkpoint) -> Failure {
    let damaged = |what: String| Failure::new(Trouble::Damaged, what);
    match tree.suspect() {
        Some(suspect) => {
            let witness = suspect.failure.file.as_deref().unwrap_or("the journal");
            let what = format!(
                "the entry is not the one that was signed: {witness} disagrees, and the checkpoint's root does not come out"
            );
            damaged(what)
                .in_file(tree.bundle_of(suspect.index, checkpoint.size))
                .at(suspect.index)
        }
        None => damaged(format!(
            "its root is not that of the {} entries, which agree with all tiles",
            checkpoint.size
        ))
        .in_file(CHECKPOINT),
    }
}

fn cut_off(end: u64, size: u64) -> Failure {
    let what = format!("the journal ends before this entry, and the checkpoint covers {size}");
    Failure::new(Trouble::Damaged, what).at(end)
}

/// Whether only checkpoint and tiles were copied here: a gateway's folder has its lock.
fn is_no_gateways(directory: &Path) -> bool {
    !directory.join("lock").exists() && !directory.join(journal::FOLDER).exists()
}

/// A young trail has a segment without entries; one without segments is gone.
fn segments_must_be_there(directory: &Path) -> Result<(), Failure> {
    let folder = directory.join(journal::FOLDER);
    let names = std::fs::read_dir(&folder).map_err(|error| {
        let what = format!("cannot list {}: {error}", folder.display());
        Failure::new(Trouble::Unreadable, what)
    })?;
    let is_segment = |name: &std::ffi::OsStr| {
        let number = name.to_str().and_then(journal::segment::number);
        number.is_some()
    };
    if names.flatten().any(|item| is_segment(&item.file_name())) {
        return Ok(());
    }
    let what = format!("{} holds no journal segment", folder.display());
    Err(Failure::new(Trouble::Missing, what))
}

#[cfg(test)]
mod tests;
