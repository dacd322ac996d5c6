//! The C2SP formats of the log as pure functions: tree, tiles, notes, checkpoints, proofs, keys,
//! receipts.

pub mod checkpoint;
pub mod key;
pub mod merkle;
pub mod note;
#[cfg(test)]
pub(crate) mod oracles;
pub mod proof;
pub mod receipt;
pub(crate) mod strict;
pub mod tiles;
pub mod verifier_key;

/// Encodes bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
