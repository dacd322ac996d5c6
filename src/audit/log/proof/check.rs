//! Verifies proofs of inclusion and consistency (RFC 9162, sections 2.1.3.2 and 2.1.4.2).

use super::super::merkle::{Hash, node, sha256};

/// Whether the path leads from the leaf at this index to the root of the log at this size.
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
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

/// Whether the path proves that the log with the new size and root begins with the old one. A
/// smaller new size is a rollback and never passes.
#[must_use]
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    path: &[Hash],
) -> bool {
    if old > new {
        return false;
    }
    if old == 0 {
        return path.is_empty() && *old_root == sha256(b"");
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    // If the old log is one perfect subtree, the path omits its root.
    let (first, rest) = match (old.is_power_of_two(), path.split_first()) {
        (_, None) => return false,
        (true, Some(_)) => (old_root, path),
        (false, Some((first, rest))) => (first, rest),
    };
    let subtree = (old - 1).trailing_ones();
    let mut walk = Walk::new((old - 1) >> subtree, (new - 1) >> subtree);
    let (mut before, mut after) = (*first, *first);
    for sibling in rest {
        match walk.up() {
            Some(Side::Left) => {
                before = node(sibling, &before);
                after = node(sibling, &after);
            }
            Some(Side::Right) => after = node(&after, sibling),
            None => return false,
        }
    }
    walk.at_root() && before == *old_root && after == *new_root
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
