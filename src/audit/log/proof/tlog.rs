//! Proofs for offline verification: an entry's path and a signed checkpoint in one file (C2SP
//! tlog-proof).

use super::super::checkpoint::{Checkpoint, CheckpointError};
use super::super::merkle::Hash;
use super::super::note::{MAX_NOTE_BYTES, Note, NoteError};
use super::super::strict;
use super::super::tiles::MAX_ENTRY_BYTES;
use super::super::verifier_key::VerifierKey;
use super::verify_inclusion;

const VERSION: &str = "c2sp.org/tlog-proof@v1";
/// The maximal length of a path: a log has fewer than 2^64 entries.
const MAX_PATH: usize = 64;
/// The maximal length of a proof: first lines, an entry in base64, 64 hashes, a note.
pub(crate) const MAX_PROOF_BYTES: usize =
    64 + MAX_ENTRY_BYTES.div_ceil(3) * 4 + MAX_PATH * 45 + MAX_NOTE_BYTES;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlogProof {
    /// Data from the log: here the entry itself. It is not proved until its hash is checked.
    pub(crate) extra: Option<Vec<u8>>,
    pub(crate) index: u64,
    /// The inclusion path, from the leaf's sibling up.
    pub(crate) path: Vec<Hash>,
    /// The signed checkpoint, byte for byte.
    pub(crate) checkpoint: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProofError {
    #[error("not a tlog-proof: {0}")]
    Malformed(&'static str),
    #[error("the proof's checkpoint is {0}")]
    Note(#[from] NoteError),
    #[error("the proof's checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the leaf to the checkpoint's root.
    #[error("the entry is not entry {index} of the log of {size} entries that was signed")]
    NotIncluded { index: u64, size: u64 },
}

impl TlogProof {
    pub(crate) fn to_text(&self) -> Vec<u8> {
        let mut text = format!("{VERSION}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", strict::encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&strict::encode(hash));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint);
        bytes
    }

    /// Parses a proof's file. Its checkpoint must be a note; [`Self::verify`] checks the signature.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let malformed = ProofError::Malformed;
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(malformed("it has no empty line before its checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(VERSION) {
            return Err(malformed("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(|line| strict::base64(&line[6..]).ok_or(malformed("bad base64 after `extra`")))
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| strict::number(line.strip_prefix("index ")?))
            .ok_or(malformed("no `index` with a plain decimal"))?;
        let path: Vec<Hash> = lines
            .take(MAX_PATH + 1)
            .map(|line| strict::hash(line).ok_or(malformed("a line of its path is not a hash")))
            .collect::<Result<_, _>>()?;
        if path.len() > MAX_PATH {
            return Err(malformed("its path has over 64 hashes"));
        }
        Note::parse(checkpoint.as_bytes())?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.into(),
        })
    }

    /// Verifies the proof for this leaf; ignores its `extra` line.
    pub(crate) fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        let (index, size) = (self.index, checkpoint.size);
        if verify_inclusion(leaf, index, size, &self.path, &checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(ProofError::NotIncluded { index, size })
        }
    }
}

#[cfg(test)]
mod tests;
