//! Proofs for offline verification (C2SP tlog-proof). One file holds an entry's inclusion path and
//! a signed checkpoint.

use super::checkpoint::{Checkpoint, MAX_NOTE_BYTES, Note};
use super::key::VerifierKey;
use super::merkle::{Hash, verify_inclusion};
use super::tiles::MAX_ENTRY_BYTES;
use super::{FormatError, from_base64, hash_from_base64, parse_number, to_base64};

const VERSION: &str = "c2sp.org/tlog-proof@v1";
/// The maximum number of hashes in an inclusion path: a log has fewer than 2^64 entries.
const MAX_PATH: usize = 64;
/// The maximum length of a proof in bytes: the first lines, an entry in base64, 64 hashes and a
/// note.
pub(crate) const MAX_PROOF_BYTES: usize =
    64 + MAX_ENTRY_BYTES.div_ceil(3) * 4 + MAX_PATH * 45 + MAX_NOTE_BYTES;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlogProof {
    /// The bytes of the entry, if the proof file holds them. To check these bytes, the caller
    /// passes their leaf hash to [`TlogProof::verify`].
    pub(crate) extra: Option<Vec<u8>>,
    pub(crate) index: u64,
    /// The inclusion path, from the leaf's sibling up.
    pub(crate) path: Vec<Hash>,
    /// The signed checkpoint, byte for byte.
    pub(crate) checkpoint: Vec<u8>,
}

impl TlogProof {
    pub(crate) fn to_text(&self) -> Vec<u8> {
        let mut text = format!("{VERSION}\n");
        if let Some(extra) = &self.extra {
            text.push_str(&format!("extra {}\n", to_base64(extra)));
        }
        text.push_str(&format!("index {}\n", self.index));
        for hash in &self.path {
            text.push_str(&to_base64(hash));
            text.push('\n');
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint);
        bytes
    }

    /// Parses a proof file. Checks only that the checkpoint is a well-formed note; [`Self::verify`]
    /// checks the note's signature.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let malformed = |why| FormatError(format!("not a tlog-proof: {why}"));
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or_else(|| malformed("it has no empty line before its checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(VERSION) {
            return Err(malformed("it does not begin with c2sp.org/tlog-proof@v1"));
        }
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(|line| {
                from_base64(&line[6..]).ok_or_else(|| malformed("bad base64 after `extra`"))
            })
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| parse_number(line.strip_prefix("index ")?))
            .ok_or_else(|| malformed("no `index` with a plain decimal"))?;
        let path: Option<Vec<Hash>> = lines.take(MAX_PATH + 1).map(hash_from_base64).collect();
        let path = path.ok_or_else(|| malformed("a line of its path is not a hash"))?;
        if path.len() > MAX_PATH {
            return Err(malformed("its path has over 64 hashes"));
        }
        Note::parse(checkpoint.as_bytes())
            .map_err(|e| FormatError(format!("the proof's checkpoint is {e}")))?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.into(),
        })
    }

    /// Verifies the checkpoint's signature, and that this leaf hash is at the proof's index in the
    /// checkpoint's tree. Ignores the `extra` line.
    pub(crate) fn verify(&self, leaf: &Hash, key: &VerifierKey) -> Result<Checkpoint, FormatError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)
            .map_err(|e| FormatError(format!("the proof's checkpoint: {e}")))?;
        let (index, size) = (self.index, checkpoint.size);
        if verify_inclusion(leaf, index, size, &self.path, &checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(FormatError(format!(
                "the entry is not entry {index} of the log of {size} entries that was signed"
            )))
        }
    }
}

#[cfg(test)]
mod tests;
