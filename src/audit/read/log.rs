//! A log under its checkpoint, and what the journal holds beyond it.

use std::path::Path;
use std::sync::Arc;

use super::files::{Files, FolderFiles};
use super::tree::Tree;
use super::{Fault, Hole};
use crate::audit::disk::is_no_file_of_a_log;
use crate::audit::journal::{self, Entries, FOLDER, ReadError};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::note::{MAX_NOTE_BYTES, Note};
use crate::audit::log::tiles::{Bundle, FULL, Frontier, MAX_BUNDLE_BYTES, decode_bundle};
use crate::audit::log::verifier_key::VerifierKey;

/// Entries in a full bundle.
pub const BUNDLE: u64 = FULL as u64;

/// An opened log: one checkpoint, and the journal as it was then.
#[derive(Debug)]
pub struct Log {
    files: Arc<dyn Files>,
    checkpoint: Option<Checkpoint>,
    tree: Option<Tree>,
    tail: Option<Entries<'static>>,
    is_judged: bool,
}

impl Log {
    /// Opens the log of an audit folder with its journal. The checkpoint's signature is judged where a
    /// key is given.
    ///
    /// # Errors
    /// Where there is neither journal nor checkpoint, or something cannot be read or is damaged.
    pub fn folder(directory: &Path, key: Option<&VerifierKey>) -> Result<Self, Hole> {
        let log = Self::held(open_folder(directory)?, key)?;
        if log.checkpoint.is_none() && log.tail.is_none() {
            return Err(Hole {
                fault: Fault::Missing,
                index: None,
                what: format!("{} has neither journal nor checkpoint", directory.display()),
            });
        }
        Ok(log)
    }

    /// As [`Self::folder`], of a folder that is held; one that is empty has no entries.
    pub(crate) fn held(files: FolderFiles, key: Option<&VerifierKey>) -> Result<Self, Hole> {
        // The journal first: what is pruned from it later stands under the checkpoint read after it.
        let journal = files.root().folder(FOLDER, None);
        let tail = match journal {
            Ok(folder) => Some(journal::read_folder(folder, None)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                return Err(Hole::unreadable(None, format!("{FOLDER}: {error}")));
            }
        };
        let mut log = Self::published(Arc::new(files), key)?;
        log.tail = tail;
        Ok(log)
    }

    /// Opens what of the log of an audit folder is published, without its journal.
    ///
    /// # Errors
    /// As [`Self::published`], and where there is no folder.
    pub fn of_folder_as_published(
        directory: &Path,
        key: Option<&VerifierKey>,
    ) -> Result<Self, Hole> {
        Self::published(Arc::new(open_folder(directory)?), key)
    }

    /// Opens what of a log is published: all that its checkpoint covers.
    ///
    /// # Errors
    /// Where something cannot be read or is damaged. No checkpoint is no error: a young log has none.
    pub fn published(files: Arc<dyn Files>, key: Option<&VerifierKey>) -> Result<Self, Hole> {
        let bytes = files
            .file("checkpoint", MAX_NOTE_BYTES)
            .map_err(|error| Hole::unread(None, "checkpoint", &error))?;
        let checkpoint = bytes.map(|bytes| opened(&bytes, key)).transpose()?;
        let tree = match &checkpoint {
            Some(checkpoint) => Some(Tree::open(Arc::clone(&files), checkpoint)?),
            None => None,
        };
        Ok(Self {
            files,
            checkpoint,
            tree,
            tail: None,
            is_judged: key.is_some(),
        })
    }

    /// The checkpoint, where there is one yet.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    /// Whether a key has judged the checkpoint's signature.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// How many entries the checkpoint covers.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.checkpoint
            .as_ref()
            .map_or(0, |checkpoint| checkpoint.size)
    }

    /// How many bundles that makes.
    #[must_use]
    pub fn bundles(&self) -> u64 {
        self.size().div_ceil(BUNDLE)
    }

    /// What reads bundles under the checkpoint; each thread has its own.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader {
            files: Arc::clone(&self.files),
            size: self.size(),
            tree: self.tree.clone(),
        }
    }

    /// Gives the entries beyond the checkpoint, from the journal; nothing the second time.
    ///
    /// # Errors
    /// Where the journal is damaged or cannot be read, or begins behind the checkpoint; what `each` gives.
    pub fn tail<E: From<Hole>>(
        &mut self,
        mut each: impl FnMut(u64, Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut next = self.size();
        for read in self.tail.take().into_iter().flatten() {
            let read = read.map_err(Hole::from)?;
            if read.index < next {
                continue;
            }
            if read.index > next {
                let what = format!("the journal goes on with entry {}", read.index);
                return Err(Hole::damaged(Some(next), what).into());
            }
            next += 1;
            each(read.index, read.bytes)?;
        }
        Ok(())
    }
}

/// Reads bundles whose every entry is under the checkpoint.
#[derive(Debug)]
pub struct Reader {
    files: Arc<dyn Files>,
    size: u64,
    tree: Option<Tree>,
}

impl Reader {
    /// Gives the entries of a bundle in order, once all of them have the hashes that the tree has.
    ///
    /// # Errors
    /// Where the bundle is missing, altered or unreadable, naming the first entry that is.
    pub fn bundle<T>(
        &mut self,
        index: u64,
        each: impl FnOnce(&[&[u8]], &[Hash]) -> T,
    ) -> Result<T, Hole> {
        let first = index * BUNDLE;
        let none = || Hole::damaged(Some(first), "the checkpoint does not cover it");
        let bundle = Bundle::at(index, self.size).ok_or_else(none)?;
        let hashes = self.tree.as_mut().ok_or_else(none)?.tile(0, index)?;
        let (path, bytes, width) = self.read(bundle)?;
        let entries = decode_bundle(&bytes, width)
            .map_err(|error| Hole::damaged(Some(first), format!("{path}: {error}")))?;
        let entries = &entries[..usize::from(bundle.width)];
        for (place, (entry, hash)) in (first..).zip(entries.iter().zip(&*hashes)) {
            if leaf(entry) != *hash {
                let what =
                    format!("{path}: altered: it is not the entry whose hash is in the tree");
                return Err(Hole::damaged(Some(place), what));
            }
        }
        Ok(each(entries, &hashes))
    }

    /// The root of the log when it had so many entries.
    ///
    /// # Errors
    /// Where a tile is missing, altered or unreadable, or the log is not so long.
    pub fn root_at(&mut self, size: u64) -> Result<Hash, Hole> {
        match &mut self.tree {
            Some(tree) => tree.root_at(size),
            None => Err(Hole::damaged(None, "there is no checkpoint")),
        }
    }

    /// The partial tiles of the log when it had so many entries.
    ///
    /// # Errors
    /// As [`Self::root_at`].
    pub(crate) fn frontier(&mut self, size: u64) -> Result<Frontier, Hole> {
        match &mut self.tree {
            Some(tree) => tree.frontier(size),
            None => Err(Hole::damaged(None, "there is no checkpoint")),
        }
    }

    /// A bundle's path, bytes and width; the full one where the partial one is gone.
    fn read(&self, bundle: Bundle) -> Result<(String, Vec<u8>, u16), Hole> {
        let first = Some(bundle.index * BUNDLE);
        let full = Bundle {
            width: FULL,
            ..bundle
        };
        for candidate in [bundle, full] {
            let path = candidate.path();
            let bytes = self
                .files
                .file(&path, MAX_BUNDLE_BYTES)
                .map_err(|error| Hole::unread(first, &path, &error))?;
            if let Some(bytes) = bytes {
                return Ok((path, bytes, candidate.width));
            }
        }
        let what = format!("{} is missing", bundle.path());
        Err(Hole::damaged(first, what))
    }
}

fn open_folder(directory: &Path) -> Result<FolderFiles, Hole> {
    FolderFiles::open(directory).map_err(|error| Hole {
        fault: match error.kind() {
            std::io::ErrorKind::NotFound => Fault::Missing,
            _ => Fault::Unreadable,
        },
        index: None,
        what: format!("{}: {error}", directory.display()),
    })
}

fn opened(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Checkpoint, Hole> {
    let opened = match key {
        Some(key) => Checkpoint::open(bytes, key),
        None => Note::parse(bytes)
            .map_err(Into::into)
            .and_then(|note| Checkpoint::parse(note.text())),
    };
    opened.map_err(|error| Hole::damaged(None, format!("checkpoint: {error}")))
}

impl From<ReadError> for Hole {
    fn from(error: ReadError) -> Self {
        Self {
            fault: match error.fault {
                journal::Fault::Missing => Fault::Missing,
                journal::Fault::Io(kind) if is_no_file_of_a_log(kind) => Fault::Damaged,
                journal::Fault::Io(_) | journal::Fault::Newer => Fault::Unreadable,
                journal::Fault::Damaged | journal::Fault::Foreign => Fault::Damaged,
            },
            index: None,
            what: error.to_string(),
        }
    }
}
