//! Verifies proofs of inclusion (RFC 9162, section 2.1.3.2).

use super::super::merkle::{Hash, node};

/// Whether the path leads from the leaf at this index to the root of the log at this size.
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
    let mut walk = Walk::new(index, size - 1);
    let mut hash = *leaf;
    for sibling in path {
        match walk.up() {
            Some(Side::Left) => hash = node(sibling, &hash),
            Some(Side::Right) => hash = node(&hash, sibling),
            None => return false,
        }
    }
    walk.at_root() && hash == *root
}

/// The side of the sibling.
enum Side {
    Left,
    Right,
}

/// The way from a node to the root of a tree that may be incomplete.
struct Walk {
    /// The node's index on its level.
    node: u64,
    /// The last index on that level.
    last: u64,
}

impl Walk {
    fn new(node: u64, last: u64) -> Self {
        Self { node, last }
    }

    /// Moves up past one sibling; `None` at the root.
    fn up(&mut self) -> Option<Side> {
        if self.at_root() {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // The last node of a level moves up alone until it has a left sibling.
            let alone = self.node.trailing_zeros();
            self.node = self.node.checked_shr(alone).unwrap_or(0);
            self.last = self.last.checked_shr(alone).unwrap_or(0);
            Side::Left
        } else {
            Side::Right
        };
        self.node >>= 1;
        self.last >>= 1;
        Some(side)
    }

    fn at_root(&self) -> bool {
        self.last == 0
    }
}
