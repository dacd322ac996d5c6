//! A log with its checkpoint, and the journal's entries beyond it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::files::{Files, FolderFiles};
use super::tiles::TileReader;
use super::tree::Tree;
use super::{MissingRange, Trouble};
use crate::audit::disk::names::JOURNAL;
use crate::audit::journal;
use crate::audit::journal::{Entries, ReadError};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::note::{MAX_NOTE_BYTES, Note};
use crate::audit::log::tiles::{Bundle, FULL, Frontier};
use crate::audit::log::verifier_key::VerifierKey;

/// The file of the newest checkpoint.
pub const CHECKPOINT: &str = "checkpoint";
/// How many entries a full bundle has.
pub(crate) const BUNDLE: u64 = FULL as u64;

/// An opened log: one checkpoint, and the journal from the same time.
#[derive(Debug)]
pub struct Log {
    tiles: TileReader,
    /// The checkpoint and its signed note.
    checkpoint: Option<(Checkpoint, Vec<u8>)>,
    tree: Option<Tree>,
    tail: Option<Result<Entries<'static>, ReadError>>,
    is_judged: bool,
}

impl Log {
    /// Opens the log of an audit folder with its journal. Verifies the checkpoint's signature if
    /// there is a key.
    ///
    /// # Errors
    /// If the folder has neither a journal nor a checkpoint, or a part is unreadable or damaged.
    pub fn folder(directory: &Path, key: Option<&VerifierKey>) -> Result<Self, MissingRange> {
        let mut log = Self::covered_part(directory, key)?;
        log.tail = log.tail.take().transpose()?.map(Ok);
        Ok(log)
    }

    /// [`Self::folder`], except that a fault of the journal becomes an error of [`Self::tail`].
    pub(super) fn covered_part(
        directory: &Path,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        let log = Self::held(FolderFiles::of_log(directory)?, key)?;
        if log.checkpoint.is_none() && log.tail.is_none() {
            let what = format!("{} has neither journal nor checkpoint", directory.display());
            return Err(MissingRange::new(Trouble::Missing, what));
        }
        Ok(log)
    }

    /// [`Self::covered_part`] of a folder that is already open; an empty folder gives a log without
    /// entries.
    pub(crate) fn held(
        files: FolderFiles,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        // Opens the journal first: if the writer prunes it meanwhile, the checkpoint read
        // afterwards covers the pruned entries.
        let tail = match files.root().folder(JOURNAL, None) {
            Ok(folder) => Some(journal::read_folder(folder, None)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let what = error.to_string();
                return Err(MissingRange::new(Trouble::Unreadable, what).in_file(JOURNAL));
            }
        };
        let mut log = Self::published(Arc::new(files), key)?;
        log.tail = tail;
        Ok(log)
    }

    /// Opens the published part of a log: the entries under its checkpoint. A log without a
    /// checkpoint is valid, because a young log has none.
    ///
    /// # Errors
    /// If a part is unreadable or damaged.
    pub fn published(
        files: Arc<dyn Files>,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        let bytes = files
            .file(CHECKPOINT, MAX_NOTE_BYTES)
            .map_err(|error| MissingRange::unread(CHECKPOINT, &error))?;
        let checkpoint = match bytes {
            Some(bytes) => Some((opened(&bytes, key)?, bytes)),
            None => None,
        };
        let tiles = TileReader::new(files);
        let tree = match &checkpoint {
            Some((checkpoint, _)) => Some(Tree::open(tiles.clone(), checkpoint)?),
            None => None,
        };
        Ok(Self {
            tiles,
            checkpoint,
            tree,
            tail: None,
            is_judged: key.is_some(),
        })
    }

    /// The checkpoint; `None` if the log is young.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref().map(|(checkpoint, _)| checkpoint)
    }

    /// The checkpoint's signed note.
    #[must_use]
    pub fn note(&self) -> Option<&[u8]> {
        self.checkpoint.as_ref().map(|(_, note)| note.as_slice())
    }

    /// Whether this log verified the checkpoint's signature with a key.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// How many entries the checkpoint covers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint().map_or(0, |checkpoint| checkpoint.size)
    }

    /// How many bundles these entries fill.
    #[must_use]
    pub fn bundles(&self) -> u64 {
        self.size().div_ceil(BUNDLE)
    }

    /// A reader of the bundles under the checkpoint; each thread uses its own.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            tiles: self.tiles.clone(),
            size: self.size(),
            tree: self.tree.clone(),
        }
    }

    /// Passes the journal's entries beyond the checkpoint to `each` until it breaks; the second
    /// call passes none. Returns the index after the last entry that was read.
    ///
    /// # Errors
    /// If the journal is damaged or unreadable, or begins after the checkpoint's end.
    pub fn tail(
        &mut self,
        mut each: impl FnMut(u64, Vec<u8>) -> ControlFlow<()>,
    ) -> Result<u64, MissingRange> {
        let mut next = self.size();
        for read in self.tail.take().transpose()?.into_iter().flatten() {
            let read = read?;
            if read.index < next {
                continue;
            }
            if read.index > next {
                let what = format!("the journal continues with entry {}", read.index);
                return Err(MissingRange::damaged(what).at(next));
            }
            next += 1;
            if each(read.index, read.bytes).is_break() {
                break;
            }
        }
        Ok(next)
    }
}

/// Reads bundles and verifies every entry under the checkpoint.
#[derive(Debug)]
pub struct Reader {
    tiles: TileReader,
    size: u64,
    tree: Option<Tree>,
}

impl Reader {
    /// Verifies all entries of a bundle against the tree, and passes them to `each` with their
    /// hashes.
    ///
    /// # Errors
    /// If the bundle is missing, altered or unreadable; names the first such entry.
    pub fn bundle<T>(
        &mut self,
        index: u64,
        each: impl FnOnce(&[&[u8]], &[Hash]) -> T,
    ) -> Result<T, MissingRange> {
        let bundle = Bundle::at(index, self.size).ok_or_else(|| {
            MissingRange::damaged("the checkpoint does not cover it").at(index * BUNDLE)
        })?;
        let hashes = self.tree()?.tile(0, index)?;
        let first = bundle.first_entry();
        let file = self.tiles.bundle(bundle)?;
        let damaged = |what: &str, index| MissingRange::damaged(what).at(index).in_file(&file.path);
        let entries = file
            .entries(bundle.width)
            .map_err(|error| damaged(&error.to_string(), first))?;
        for (place, (entry, hash)) in (first..).zip(entries.iter().zip(&*hashes)) {
            if leaf(entry) != *hash {
                let what = "altered: it is not the entry whose hash is in the tree";
                return Err(damaged(what, place));
            }
        }
        Ok(each(&entries, &hashes))
    }

    /// The root of the log at an earlier size.
    ///
    /// # Errors
    /// If a tile is missing, altered or unreadable, or the log is shorter.
    pub fn root_at(&mut self, size: u64) -> Result<Hash, MissingRange> {
        self.tree()?.root_at(size)
    }

    /// The path from an entry to the checkpoint's root.
    ///
    /// # Errors
    /// Same as [`Self::root_at`].
    pub fn inclusion(&mut self, index: u64) -> Result<Vec<Hash>, MissingRange> {
        self.tree()?.inclusion(index)
    }

    /// The partial tiles of the log at an earlier size.
    pub(crate) fn frontier(&mut self, size: u64) -> Result<Frontier, MissingRange> {
        self.tree()?.frontier(size)
    }

    fn tree(&mut self) -> Result<&mut Tree, MissingRange> {
        let none = || MissingRange::damaged("there is no checkpoint");
        self.tree.as_mut().ok_or_else(none)
    }
}

fn opened(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Checkpoint, MissingRange> {
    let opened = match key {
        Some(key) => Checkpoint::open(bytes, key),
        None => Note::parse(bytes)
            .map_err(Into::into)
            .and_then(|note| Checkpoint::parse(note.text())),
    };
    opened.map_err(|error| MissingRange::damaged(error.to_string()).in_file(CHECKPOINT))
}
