//! Hashes of the log's tree: RFC 6962 section 2.1 with SHA-256.

use aws_lc_rs::digest::{Context, SHA256, digest};

pub(crate) type Hash = [u8; 32];

/// The hash of an entry as a leaf: SHA-256 over a zero byte and the entry.
pub(crate) fn leaf(entry: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(entry);
    fixed(context.finish().as_ref())
}

/// The hash of an inner node: SHA-256 over a one byte and both children.
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

/// The root over these hashes. The root of a full tile is a hash in the tile above.
pub(crate) fn root_of(hashes: &[Hash]) -> Hash {
    let mut root = Root::default();
    for hash in hashes {
        root.push(*hash);
    }
    root.root()
}

/// The root over perfect subtrees, from right to left: the smallest first.
pub(crate) fn root_over(subtrees: impl IntoIterator<Item = Hash>) -> Hash {
    let merged = subtrees
        .into_iter()
        .reduce(|right, left| node(&left, &right));
    merged.unwrap_or_else(|| sha256(b""))
}

/// The root over a growing list of leaves. Keeps the roots of perfect subtrees, like a binary
/// counter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Root {
    size: u64,
    /// Roots of the perfect subtrees, the largest first; at most 64.
    peaks: Vec<Hash>,
}

impl Root {
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut level = self.size;
        while level & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
            level >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The roots of the perfect subtrees, from left to right: the largest first.
    pub(crate) fn into_peaks(self) -> Vec<Hash> {
        self.peaks
    }

    pub(crate) fn root(&self) -> Hash {
        root_over(self.peaks.iter().rev().copied())
    }
}

pub(super) fn fixed(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(bytes);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::log::hex;

    fn root_at(size: u64) -> String {
        let mut root = Root::default();
        for i in 0..size {
            root.push(leaf(format!("entry {i}").as_bytes()));
        }
        hex(&root.root())
    }

    #[test]
    fn roots_are_those_of_the_published_vectors() {
        let vectors = [
            (
                0,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                1,
                "773885a613489e24ce2cf76199d6a423f042e4bbf12d7eecee912ef276c65701",
            ),
            (
                2,
                "5a47662fd8a317d96049a3f9f47c55dc67ca66051baa3683dbb19b2fe09a07b0",
            ),
            (
                3,
                "94fbd0dd836f50301692e6d0eade728ee19ec52bfff1606ed807c8575d5aaa19",
            ),
            (
                5,
                "7caa345dbd892a66454d6c6512ea3c3ea3f0d3ec21be3fc2e2375705fd38f672",
            ),
            (
                256,
                "da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e",
            ),
            (
                257,
                "5c1fdfe835358022f2392de478dbe053fc130cfe1d3a082879a90cf6bf14bf7e",
            ),
        ];
        for (size, root) in vectors {
            assert_eq!(root_at(size), root, "{size} entries");
        }
    }

    #[test]
    fn a_leaf_is_not_a_node_of_the_same_bytes() {
        let (left, right) = (leaf(b"a"), leaf(b"b"));
        let joined = [left, right].concat();
        assert_ne!(leaf(&joined), node(&left, &right));
    }
}
