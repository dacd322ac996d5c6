//! Checkpoints: the log's size and root, signed (C2SP tlog-checkpoint).

use super::key::Key;
use super::merkle::{Hash, sha256};
use super::note::{self, Note, NoteError};
use super::strict;
use super::verifier_key::{VerifierKey, origin_fault};

/// The log's size and root at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    /// How many entries the log has.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
}

/// Why bytes are not a checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note is malformed or lacks a valid signature.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not an origin, a size and a root.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The key signed a checkpoint of another log.
    #[error("a checkpoint of {found}, not of {wanted}")]
    Origin {
        /// The checkpoint's origin.
        found: String,
        /// The key's name.
        wanted: String,
    },
}

impl Checkpoint {
    /// The signed text: origin, size and base64 of the root, one line each.
    #[must_use]
    pub fn text(&self) -> String {
        let root = strict::encode(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Parses the text. This log has no extension lines, so they are an error.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] for every text that [`Self::text`] would not write.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |why| Err(CheckpointError::Malformed(why));
        let mut lines = text.split('\n');
        let parts = [(); 4].map(|()| lines.next());
        let ([Some(origin), Some(size), Some(root), Some("")], None) = (parts, lines.next()) else {
            return malformed("its text does not have three lines");
        };
        if let Some(fault) = origin_fault(origin) {
            return malformed(fault);
        }
        let Some(size) = strict::number(size) else {
            return malformed("its size is not a plain decimal below 2^64");
        };
        let Some(root) = strict::hash(root) else {
            return malformed("its root is not 32 bytes of canonical base64");
        };
        if size == 0 && root != sha256(b"") {
            return malformed("its root is not that of an empty log");
        }
        Ok(Self {
            origin: origin.to_owned(),
            size,
            root,
        })
    }

    /// The signed note; equal checkpoints give equal bytes.
    #[must_use]
    pub fn sign(&self, key: &Key) -> Vec<u8> {
        note::sign(key, &self.text()).into_bytes()
    }

    /// Parses a signed note and verifies its signature; the key's name must be the checkpoint's
    /// origin.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(bytes)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != key.origin() {
            return Err(CheckpointError::Origin {
                found: checkpoint.origin,
                wanted: key.origin().to_owned(),
            });
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests;
