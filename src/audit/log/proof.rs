//! Proofs of inclusion: made from tile hashes (RFC 6962, section 2.1.1), and verified.

mod tlog;

pub(crate) use tlog::{MAX_PROOF_BYTES, TlogProof};

use std::io;

use super::merkle::{Hash, node, root_of, root_over};

/// Binary levels of the tree that one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

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
        let why = format!("entry {index} is not among the first {size}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let (mut start, mut count) = (0, size);
    let mut path = Vec::new();
    while count > 1 {
        // The largest power of two below `count`: how many leaves the left subtree has.
        let left = 1 << (count - 1).ilog2();
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

/// Whether the path leads from the leaf at this index to the root of the log at this size (RFC
/// 9162, section 2.1.3.2).
pub(crate) fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> bool {
    if index >= size {
        return false;
    }
    // The index of the node on its level, and the last index there.
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // The last node of a level moves up alone until it has a left sibling.
            let alone = at.trailing_zeros();
            at >>= alone;
            last >>= alone;
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The root over `count` leaves from `start`, a multiple of `count.next_power_of_two()`.
fn range(start: u64, count: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    let mut end = start + count;
    let mut rest = count;
    let mut subtrees = Vec::new();
    // Takes the perfect subtrees from right to left: the smallest one is at the right end.
    while rest > 0 {
        let height = rest.trailing_zeros();
        let leaves = 1 << height;
        end -= leaves;
        rest -= leaves;
        subtrees.push(perfect(height, end >> height, reader)?);
    }
    Ok(root_over(subtrees))
}

/// The root of a perfect subtree of 2^height leaves; `index` counts the subtrees of that height.
fn perfect(height: u32, index: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    let within = height % TILE_HEIGHT;
    let level = (height / TILE_HEIGHT) as u8;
    if within == 0 {
        return reader.hash(level, index);
    }
    let hashes = reader.hashes(level, index << within, 1 << within)?;
    Ok(root_of(&hashes))
}

#[cfg(test)]
pub(crate) mod test_tree;
#[cfg(test)]
mod tests;
