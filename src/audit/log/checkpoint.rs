//! Checkpoints: the log's size and root, signed (C2SP tlog-checkpoint).

use super::key::Key;
use super::merkle::{Hash, sha256};
use super::note::{self, Note, NoteError};
use super::strict;
use super::verifier_key::{VerifierKey, origin_fault};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    #[error(transparent)]
    Note(#[from] NoteError),
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    #[error("a checkpoint of {found}, not of {wanted}")]
    Origin { found: String, wanted: String },
}

impl Checkpoint {
    /// The signed text: origin, size and base64 of the root, one line each.
    pub fn text(&self) -> String {
        let root = strict::encode(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Parses the text. This log has no extension lines, so they are an error.
    pub(crate) fn parse(text: &str) -> Result<Self, CheckpointError> {
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
    pub fn sign(&self, key: &Key) -> Vec<u8> {
        note::sign(key, &self.text()).into_bytes()
    }

    /// Parses a signed note and verifies its signature; the key's name must be the checkpoint's
    /// origin.
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
