//! The C2SP formats of the log as pure functions: tree, tiles, notes, checkpoints, proofs, keys,
//! receipts.

pub(crate) mod checkpoint;
pub mod key;
pub(crate) mod merkle;
pub(crate) mod note;
#[cfg(test)]
pub(crate) mod oracles;
pub(crate) mod proof;
pub mod receipt;
pub(crate) mod strict;
pub(crate) mod tiles;
pub(crate) mod verifier_key;

/// Encodes bytes in lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
