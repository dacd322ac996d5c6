//! Checkpoints: the log's size and root, signed (C2SP tlog-checkpoint).

use super::key::Key;
use super::merkle::{Hash, sha256};
use super::note::{self, Note, NoteError};
use super::strict;
use super::verifier_key::{VerifierKey, origin_fault};

/// What the log says of itself at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    /// How many entries the log has.
    pub size: u64,
    /// The RFC 6962 root over them.
    pub root: Hash,
}

/// Why bytes are no checkpoint of the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note is malformed, or not rightly signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text is not origin, size and root.
    #[error("not a checkpoint: {0}")]
    Malformed(&'static str),
    /// The key signed it for another log.
    #[error("a checkpoint of {found}, not of {wanted}")]
    Origin {
        /// The checkpoint's origin.
        found: String,
        /// The key's name.
        wanted: String,
    },
}

impl Checkpoint {
    /// The text that is signed: origin, size and base64 of the root, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        let root = strict::encode(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Reads the text; extension lines are refused, as this log has none.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], whatever [`Self::text`] would not write.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let malformed = |why| Err(CheckpointError::Malformed(why));
        let mut lines = text.split('\n');
        let parts = [(); 4].map(|()| lines.next());
        let ([Some(origin), Some(size), Some(root), Some("")], None) = (parts, lines.next()) else {
            return malformed("its text has not three lines");
        };
        if let Some(fault) = origin_fault(origin) {
            return malformed(fault);
        }
        let Some(size) = strict::number(size) else {
            return malformed("its size is no plain decimal below 2^64");
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

    /// The signed note; the same checkpoint gives the same bytes.
    #[must_use]
    pub fn sign(&self, key: &Key) -> Vec<u8> {
        note::sign(key, &self.text()).into_bytes()
    }

    /// Reads a signed note and judges its signature; the key's name is the origin it must have.
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
