//! Signed notes: a text, an empty line, and one line for each signature (C2SP signed-note).

use super::key::Key;
use super::strict;
use super::verifier_key::VerifierKey;

/// The maximal length of a note: the text, and three times 16 of the longest signatures.
pub(crate) const MAX_NOTE_BYTES: usize = 256 * 1024;
/// The maximal number of signatures; signed-note requires support for at least 16.
pub(crate) const MAX_SIGNATURES: usize = 64;

/// The start of a signature line: an em dash and a space.
const DASH: &str = "\u{2014} ";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    #[error("not signed by {0}")]
    Unsigned(String),
    /// A signature has the key's name and id but is invalid.
    #[error("the signature by {0} is wrong: text or signature was changed")]
    Wrong(String),
}

/// A well-formed signed note; [`Note::verify`] checks its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    /// Key id and signature.
    line: Vec<u8>,
}

/// Signs a text and returns the whole note. The text ends in a line feed and has no other control
/// characters.
pub(crate) fn sign(key: &Key, text: &str) -> String {
    let line = strict::encode(&key.sign(text.as_bytes()));
    format!("{text}\n{DASH}{} {line}\n", key.origin())
}

impl Note {
    /// Parses a note; accepts one spelling.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let malformed = |why| Err(NoteError::Malformed(why));
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

    /// Verifies the signatures with this key's name and id; ignores all others.
    pub(crate) fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let id = key.id();
        let mut known = self
            .signatures
            .iter()
            .filter(|s| s.name == key.origin() && s.line.starts_with(&id))
            .peekable();
        if known.peek().is_none() {
            return Err(NoteError::Unsigned(key.to_string()));
        }
        if known.all(|s| key.verify(self.text.as_bytes(), &s.line)) {
            Ok(())
        } else {
            Err(NoteError::Wrong(key.to_string()))
        }
    }
}

impl Signature {
    /// Parses a signature line without its line feed.
    fn parse(line: &str) -> Option<Self> {
        let (name, body) = line.strip_prefix(DASH)?.split_once(' ')?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '+') {
            return None;
        }
        let line = strict::base64(body)?;
        // A key id alone is not a signature.
        (line.len() > 4).then(|| Self {
            name: name.to_owned(),
            line,
        })
    }
}

#[cfg(test)]
mod tests;
