//! The log's Merkle tree (RFC 6962, section 2.1, with SHA-256). Computes hashes, makes inclusion
//! proofs from the hashes in the tiles, and verifies inclusion proofs.

use std::io;

use aws_lc_rs::digest::{Context, SHA256, digest};

pub(crate) type Hash = [u8; 32];

/// How many levels of the binary tree one level of tiles spans.
const TILE_HEIGHT: u32 = 8;

/// The hash of an entry as a leaf: SHA-256 over the byte 0x00 and the entry.
pub(crate) fn leaf(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    fixed(context.finish().as_ref())
}

/// The hash of an inner node: SHA-256 over the byte 0x01 and both children.
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[1]);
    context.update(left);
    context.update(right);
    fixed(context.finish().as_ref())
}

pub(crate) fn sha256(bytes: &[u8]) -> Hash {
    fixed(digest(&SHA256, bytes).as_ref())
}

/// The root of the tree over these hashes. For the hashes of a full tile, this root is one hash of
/// a tile on the next level.
pub(crate) fn root_of(hashes: &[Hash]) -> Hash {
    let mut nodes = hashes.to_vec();
    while nodes.len() > 1 {
        // If the last node of a level has no sibling, it moves up unchanged.
        let parent = |pair: &[Hash]| match pair {
            [left, right] => node(left, right),
            alone => alone[0],
        };
        nodes = nodes.chunks(2).map(parent).collect();
    }
    nodes.pop().unwrap_or_else(|| sha256(b""))
}

pub(super) fn fixed(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    hash
}

/// A source of the hashes in a log's tiles.
pub(crate) trait HashReader {
    /// Reads hash `index % 256` of tile `index / 256` on a level. This hash is the root over
    /// 256^level entries, from entry `index * 256^level` on.
    fn hash(&self, level: u8, index: u64) -> io::Result<Hash>;
}

/// Computes the log's root at a size. `reader` can read the tiles of the log at this size or at any
/// larger size.
pub(crate) fn root_at(size: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    range(0, size, reader)
}

/// Computes the inclusion path from an entry to the log's root at a size. The path begins with the
/// leaf's sibling.
pub(crate) fn inclusion(index: u64, size: u64, reader: &dyn HashReader) -> io::Result<Vec<Hash>> {
    if index >= size {
        let why = format!("entry {index} is not among the first {size}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let (mut start, mut count) = (0, size);
    let mut path = Vec::new();
    while count > 1 {
        let left = left_leaves(count);
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
    // The index of the current node on its level, and the last index on that level.
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // The last node of a level moves up unchanged until it has a left sibling.
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

/// The root over `count` leaves from leaf `start` on. `start` must be a multiple of
/// `count.next_power_of_two()`.
fn range(start: u64, count: u64, reader: &dyn HashReader) -> io::Result<Hash> {
    if count == 0 {
        return Ok(root_of(&[]));
    }
    let height = count.trailing_zeros();
    if count.is_power_of_two() && height.is_multiple_of(TILE_HEIGHT) {
        return reader.hash((height / TILE_HEIGHT) as u8, start >> height);
    }
    let left = left_leaves(count);
    let right = range(start + left, count - left, reader)?;
    Ok(node(&range(start, left, reader)?, &right))
}

/// How many of `count` leaves are in the left subtree: the largest power of two below `count`.
fn left_leaves(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

#[cfg(test)]
pub(crate) mod test_tree;
#[cfg(test)]
mod tests;
