//! Proofs of inclusion from tile hashes (RFC 6962, section 2.1.1).

mod check;
mod tlog;

pub(crate) use check::verify_inclusion;
pub(crate) use tlog::{MAX_PROOF_BYTES, TlogProof};

use std::io;

use super::merkle::{Hash, node, root_of, sha256};

/// Binary levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// Reads hashes from tiles.
pub(crate) trait HashReader {
    /// The hash with this index on a level: the root of 256^level entries, from entry `index *
    /// 256^level`. It is hash `index % 256` of tile `index / 256`.
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash>;

    /// `count` consecutive hashes of a level, all from one tile, at most 255.
    fn hashes(&self, level: u8, first: u64, count: u64) -> io::Result<Vec<Hash>> {
        (first..first + count)
            .map(|index| self.hash(level, index))
            .collect()
    }
}

/// The root of the log at a size, from the tiles of this size or a larger one.
pub(crate) fn root_at(size: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    range(0, size, reader)
}

/// The path from an entry to the root of the log at a size, from the leaf's sibling up.
pub(crate) fn inclusion(index: u64, size: u64, reader: &dyn HashReader) -> io::Result<Vec<Hash>> {
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

fn refuse<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The largest power of two below `count`, which is at least 2: how many leaves its left subtree
/// has.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The root over `count` leaves from `start`, a multiple of `count.next_power_of_two()`.
fn range(start: u64, count: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    let mut end = start + count;
    let mut rest = count;
    let mut right = None;
    // Takes the perfect subtrees from right to left: the smallest one is at the right end.
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

/// The root of a perfect subtree of 2^height leaves; `index` counts the subtrees of that height.
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
