//! Opens a log at its place: its checkpoint, and the journal's entries beyond it.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Files, FolderFiles};
use super::{CHECKPOINT, MissingRange, Reader, Trouble, WIDTH};
use crate::audit::disk::names::JOURNAL;
use crate::audit::journal;
use crate::audit::journal::{Entries, ReadError};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::note::{MAX_NOTE_BYTES, Note};
use crate::audit::log::verifier_key::VerifierKey;

/// The place of a log, for readers that open it repeatedly.
#[derive(Clone, Debug)]
pub enum Location {
    /// An audit folder, including its journal.
    Folder(PathBuf),
    /// Any source of the published files.
    Published(Arc<dyn Files>),
}

impl Location {
    /// Opens the present state of the log; for a folder, with the journal's entries beyond the
    /// checkpoint.
    pub(crate) fn open(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::folder(directory, key),
            Self::Published(files) => Log::published(Arc::clone(files), key),
        }
    }

    /// [`Self::open`] for proofs: an unreadable journal does not prevent proofs of the entries under
    /// the checkpoint.
    pub(super) fn open_for_proof(&self, key: &VerifierKey) -> Result<Log, MissingRange> {
        match self {
            Self::Folder(directory) => Log::covered_part(directory, Some(key)),
            Self::Published(_) => self.open(Some(key)),
        }
    }

    /// Opens the published part of the log: the entries under its checkpoint.
    pub(crate) fn open_published(&self, key: Option<&VerifierKey>) -> Result<Log, MissingRange> {
        Log::published(self.files()?, key)
    }

    /// The log's published files.
    pub(crate) fn files(&self) -> Result<Arc<dyn Files>, MissingRange> {
        match self {
            Self::Folder(directory) => Ok(Arc::new(FolderFiles::of_log(directory)?)),
            Self::Published(files) => Ok(Arc::clone(files)),
        }
    }

    /// The path of an audit folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(directory) => Some(directory),
            Self::Published(_) => None,
        }
    }
}

/// An opened log: one checkpoint, and the journal from the same time.
#[derive(Debug)]
pub(crate) struct Log {
    /// The checkpoint and its signed note.
    checkpoint: Option<(Checkpoint, Vec<u8>)>,
    pub(super) reader: Reader,
    tail: Option<Result<Entries<'static>, ReadError>>,
    is_judged: bool,
}

impl Log {
    /// Opens the log of an audit folder with its journal. Verifies the checkpoint's signature if
    /// there is a key. A folder without journal and checkpoint is an error.
    pub(crate) fn folder(
        directory: &Path,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        let mut log = Self::covered_part(directory, key)?;
        log.tail = log.tail.take().transpose()?.map(Ok);
        Ok(log)
    }

    /// [`Self::folder`], except that a fault of the journal becomes an error of [`Self::tail`].
    pub(super) fn covered_part(
        directory: &Path,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        let log = Self::held(&FolderFiles::of_log(directory)?, key)?;
        if log.checkpoint.is_none() && log.tail.is_none() {
            let what = format!("{} has neither journal nor checkpoint", directory.display());
            return Err(MissingRange::new(Trouble::Missing, what));
        }
        Ok(log)
    }

    /// [`Self::covered_part`] of a folder that is already open; an empty folder gives a log without
    /// entries.
    pub(crate) fn held(
        files: &FolderFiles,
        key: Option<&VerifierKey>,
    ) -> Result<Self, MissingRange> {
        // Opens the journal first: if the writer prunes it meanwhile, the checkpoint read
        // afterwards covers the pruned entries.
        let tail = match files.0.folder(JOURNAL, None) {
            Ok(folder) => Some(journal::read_folder(folder, None)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let what = error.to_string();
                return Err(MissingRange::new(Trouble::Unreadable, what).in_file(JOURNAL));
            }
        };
        let mut log = Self::published(Arc::new(files.clone()), key)?;
        log.tail = tail;
        Ok(log)
    }

    /// Opens the published part of a log: the entries under its checkpoint. A log without a
    /// checkpoint is valid, because a young log has none.
    pub(crate) fn published(
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
        let reader = Reader::open(files, checkpoint.as_ref().map(|(read, _)| read))?;
        Ok(Self {
            checkpoint,
            reader,
            tail: None,
            is_judged: key.is_some(),
        })
    }

    /// The checkpoint; `None` if the log is young.
    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref().map(|(checkpoint, _)| checkpoint)
    }

    /// The checkpoint's signed note.
    pub(super) fn note(&self) -> Option<&[u8]> {
        self.checkpoint.as_ref().map(|(_, note)| note.as_slice())
    }

    /// Whether this log verified the checkpoint's signature with a key.
    pub(crate) fn is_judged(&self) -> bool {
        self.is_judged
    }

    /// How many entries the checkpoint covers.
    pub(crate) fn size(&self) -> u64 {
        self.checkpoint().map_or(0, |checkpoint| checkpoint.size)
    }

    /// How many bundles these entries fill.
    pub(crate) fn bundles(&self) -> u64 {
        self.size().div_ceil(WIDTH)
    }

    pub(crate) fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Passes the journal's entries beyond the checkpoint to `each` until it breaks; the second
    /// call passes none. Returns the index after the last entry that was read.
    pub(crate) fn tail(
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

fn opened(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Checkpoint, MissingRange> {
    let opened = match key {
        Some(key) => Checkpoint::open(bytes, key),
        None => Note::parse(bytes)
            .map_err(Into::into)
            .and_then(|note| Checkpoint::parse(note.text())),
    };
    opened.map_err(|error| MissingRange::damaged(error.to_string()).in_file(CHECKPOINT))
}
