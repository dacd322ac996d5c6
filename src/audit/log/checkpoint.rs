//! Checkpoints: the log's size and root (C2SP tlog-checkpoint), as the text of a signed note (C2SP
//! signed-note). A note is a text, an empty line, and one line for each signature.

use super::key::{Key, VerifierKey, origin_fault};
use super::merkle::{Hash, sha256};
use super::{FormatError, from_base64, hash_from_base64, parse_number, to_base64};

/// The maximum length of a note in bytes. A checkpoint and 48 of the longest signatures fit.
pub(crate) const MAX_NOTE_BYTES: usize = 256 * 1024;
/// The maximum number of signatures in a note. C2SP signed-note requires support for at least 16.
pub(crate) const MAX_SIGNATURES: usize = 64;

/// The start of a signature line: an em dash and a space.
const DASH: &str = "\u{2014} ";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name: visible ASCII without `+`, 1 to 255 bytes.
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// The signed text: origin, size and base64 of the root, one line each.
    pub fn text(&self) -> String {
        let root = to_base64(&self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Parses the signed text. Fails if the text has extension lines, because Lychgate writes none.
    pub(crate) fn parse(text: &str) -> Result<Self, FormatError> {
        let malformed = |why| Err(FormatError(format!("not a checkpoint: {why}")));
        let mut lines = text.split('\n');
        let parts = [(); 4].map(|()| lines.next());
        let ([Some(origin), Some(size), Some(root), Some("")], None) = (parts, lines.next()) else {
            return malformed("its text does not have three lines");
        };
        if let Some(fault) = origin_fault(origin) {
            return malformed(fault);
        }
        let Some(size) = parse_number(size) else {
            return malformed("its size is not a plain decimal below 2^64");
        };
        let Some(root) = hash_from_base64(root) else {
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

    /// Signs the checkpoint and returns the note. The same checkpoint and key always give the same
    /// bytes.
    pub fn sign(&self, key: &Key) -> Vec<u8> {
        sign_note(key, &self.text()).into_bytes()
    }

    /// Parses a signed note without verifying it.
    pub(crate) fn unverified(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::parse(Note::parse(bytes)?.text())
    }

    /// Parses a signed note and verifies its signature. The checkpoint's origin must be the key's
    /// name.
    pub fn open(bytes: &[u8], key: &VerifierKey) -> Result<Self, FormatError> {
        let note = Note::parse(bytes)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != key.origin() {
            let (found, wanted) = (&checkpoint.origin, key.origin());
            let what = format!("a checkpoint of {found}, not of {wanted}");
            return Err(FormatError(what));
        }
        Ok(checkpoint)
    }
}

/// A well-formed note. Only [`Note::verify`] checks the signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    /// The key id (4 bytes), then the signature.
    line: Vec<u8>,
}

/// Signs a text and returns the whole note. The text must end in a line feed. It must not contain
/// control characters except line feeds.
pub(super) fn sign_note(key: &Key, text: &str) -> String {
    let line = to_base64(&key.sign(text.as_bytes()));
    format!("{text}\n{DASH}{} {line}\n", key.origin())
}

impl Note {
    /// Parses a note; refuses every spelling except the canonical one.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let malformed = |why| Err(FormatError(format!("not a signed note: {why}")));
        if bytes.len() > MAX_NOTE_BYTES {
            return malformed("it is longer than 256 KiB");
        }
        if bytes.iter().any(|&b| b < b' ' && b != b'\n') {
            return malformed("it holds a control character");
        }
        let Ok(note) = std::str::from_utf8(bytes) else {
            return malformed("it is not UTF-8");
        };
        let Some(end) = note.rfind("\n\n") else {
            return malformed("no empty line ends its text");
        };
        let Some(lines) = note[end + 2..].strip_suffix('\n') else {
            return malformed("no signature line with a line feed ends it");
        };
        let signatures: Option<Vec<_>> = lines
            .split('\n')
            .take(MAX_SIGNATURES + 1)
            .map(Signature::parse)
            .collect();
        match signatures {
            None => malformed("a signature line is not an em dash, a name and base64"),
            Some(all) if all.len() > MAX_SIGNATURES => malformed("it has over 64 signatures"),
            Some(signatures) => Ok(Self {
                text: note[..=end].to_owned(),
                signatures,
            }),
        }
    }

    /// The signed text, with its final line feed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Verifies all signatures that have this key's name and id. Fails if there are none. Ignores
    /// other keys' signatures.
    pub(crate) fn verify(&self, key: &VerifierKey) -> Result<(), FormatError> {
        let id = key.id();
        let mut known = self
            .signatures
            .iter()
            .filter(|s| s.name == key.origin() && s.line.starts_with(&id))
            .peekable();
        if known.peek().is_none() {
            return Err(FormatError(format!("not signed by {key}")));
        }
        if known.all(|s| key.verify(self.text.as_bytes(), &s.line)) {
            Ok(())
        } else {
            let what = "text or signature was changed";
            Err(FormatError(format!(
                "the signature by {key} is wrong: {what}"
            )))
        }
    }
}

impl Signature {
    /// Parses a signature line. `line` has no line feed at its end.
    fn parse(line: &str) -> Option<Self> {
        let (name, body) = line.strip_prefix(DASH)?.split_once(' ')?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return None;
        }
        let line = from_base64(body)?;
        // A key id alone is not a signature.
        (line.len() > 4).then(|| Self {
            name: name.to_owned(),
            line,
        })
    }
}

#[cfg(test)]
mod tests;
