//! Proofs of inclusion and consistency, made from tile hashes (RFC 6962, sections 2.1.1 and 2.1.2).

mod check;
mod tlog;

pub use check::{verify_consistency, verify_inclusion};
pub use tlog::{MAX_PROOF_BYTES, ProofError, TlogProof};

use std::io;

use super::merkle::{Hash, node, root_of, sha256};

/// Binary levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// Reads hashes from tiles.
pub trait HashReader {
    /// Hash `index` of a level: the root of the 256^level entries from `index 256^level` on. In tiles it
    /// is hash `index % 256` of tile `index / 256`.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash>;

    /// So many hashes of a level, of one tile and at most 255 of them.
    ///
    /// # Errors
    /// As [`Self::hash`].
    fn hashes(&self, level: u8, first: u64, count: u64) -> io::Result<Vec<Hash>> {
        (first..first + count)
            .map(|index| self.hash(level, index))
            .collect()
    }
}

/// The root of the log at a size, from the tiles of that size or a larger one.
///
/// # Errors
/// What the reader gives.
pub fn root_at(size: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    range(0, size, reader)
}

/// The path from an entry to the root of the log at a size, the leaf's sibling first.
///
/// # Errors
/// `InvalidInput` where the size does not hold the index, else what the reader gives.
pub fn inclusion(index: u64, size: u64, reader: &dyn HashReader) -> io::Result<Vec<Hash>> {
    if index >= size {
        return refuse(format!("entry {index} is not among the first {size}"));
    }
    let (mut start, mut count) = (0, size);
    let mut path = Vec::new();
    while count > 1 {
        let left = split(count);
        if index - start < left {
            path.push(range(start + left, count - left, reader)?);
            count = left;
        } else {
            path.push(range(start, left, reader)?);
            start += left;
            count -= left;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the log at the new size begins with the log at the old one. Empty where both are the
/// same, and for an old size of 0, which all logs begin with.
///
/// # Errors
/// `InvalidInput` where the old size is the larger one, else what the reader gives.
pub fn consistency(old: u64, new: u64, reader: &dyn HashReader) -> io::Result<Vec<Hash>> {
    if old > new {
        return refuse(format!("a log of {new} entries cannot begin with {old}"));
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let (mut start, mut count) = (0, new);
    let mut path = Vec::new();
    while start + count != old {
        let left = split(count);
        if old - start <= left {
            path.push(range(start + left, count - left, reader)?);
            count = left;
        } else {
            path.push(range(start, left, reader)?);
            start += left;
            count -= left;
        }
    }
    // The old root itself is what the verifier knows.
    if start > 0 {
        path.push(range(start, count, reader)?);
    }
    path.reverse();
    Ok(path)
}

fn refuse<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The largest power of two below a count of at least 2: the leaves of its left subtree.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over `count` leaves from `start` on, which is a multiple of `count`'s next power of two.
fn range(start: u64, count: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    let mut end = start + count;
    let mut rest = count;
    let mut right = None;
    // Perfect subtrees, the smallest, which stands at the right end, first.
    while rest > 0 {
        let height = rest.trailing_zeros();
        let leaves = 1 << height;
        end -= leaves;
        rest -= leaves;
        let left = perfect(height, end >> height, reader)?;
        right = Some(right.map_or(left, |right| node(&left, &right)));
    }
    Ok(right.unwrap_or_else(|| sha256(b"")))
}

/// The root of the perfect subtree of 2^height leaves with this index among those of its height.
fn perfect(height: u32, index: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    let within = height % TILE_HEIGHT;
    let level = (height / TILE_HEIGHT) as u8;
    if within == 0 {
        return reader.hash(level, index);
    }
    Ok(root_of(&reader.hashes(
        level,
        index << within,
        1 << within,
    )?))
}

#[cfg(test)]
pub(crate) mod test_tree;
#[cfg(test)]
mod tests;
