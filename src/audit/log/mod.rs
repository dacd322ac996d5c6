//! What a log is: the C2SP formats as pure functions. Tree, tiles, notes, checkpoints, proofs, keys, receipts.

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
