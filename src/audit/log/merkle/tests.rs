//! Tests of hashes and proofs: the published vectors, all small sizes, and random large ones.

use proptest::prelude::*;

use super::test_tree::{Tree, leaves};
use super::*;
use crate::audit::log::hex;

fn root(tree: &Tree, size: u64) -> Hash {
    root_of(&tree.leaves()[..size as usize])
}

fn root_over(size: u64) -> String {
    hex(&root_of(&leaves(size).collect::<Vec<_>>()))
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
        assert_eq!(root_over(size), root, "{size} entries");
    }
}

#[test]
fn a_leaf_is_not_a_node_of_the_same_bytes() {
    let (left, right) = (leaf(b"a"), leaf(b"b"));
    let joined = [left, right].concat();
    assert_ne!(leaf(&joined), node(&left, &right));
}

fn hexes(path: &[Hash]) -> Vec<String> {
    path.iter().map(|hash| hex(hash)).collect()
}

#[test]
fn p4_inclusion_is_that_of_the_published_vector() {
    let tree = Tree::of(257);
    assert_eq!(
        hexes(&inclusion(256, 257, &tree).unwrap()),
        ["da6596d95369f5fef322ab8e4e0da3b0b50236aa9c8a3b1d246f7411c9e2e32e"]
    );
    assert_eq!(inclusion(0, 1, &tree).unwrap(), [[0; 32]; 0]);
}

#[test]
fn roots_of_all_small_sizes_match_the_leaves() {
    let tree = Tree::of(600);
    for size in 0..=600 {
        assert_eq!(root_at(size, &tree).unwrap(), root(&tree, size), "{size}");
    }
}

#[test]
fn p5_each_entry_of_each_small_size_is_included() {
    let tree = Tree::of(300);
    for size in 1..=300 {
        let root = root(&tree, size);
        for index in 0..size {
            let path = inclusion(index, size, &tree).unwrap();
            let leaf = &tree.leaves()[index as usize];
            assert!(
                verify_inclusion(leaf, index, size, &path, &root),
                "{index} in {size}"
            );
        }
    }
}

#[test]
fn p5_a_path_holds_at_no_other_index() {
    let tree = Tree::of(70);
    for size in [1, 2, 3, 5, 8, 33, 64, 70] {
        let root = root(&tree, size);
        for index in 0..size {
            let path = inclusion(index, size, &tree).unwrap();
            let leaf = &tree.leaves()[index as usize];
            for other in (0..size + 70).chain([u64::MAX]).filter(|&i| i != index) {
                assert!(!verify_inclusion(leaf, other, size, &path, &root));
            }
        }
    }
}

#[test]
fn p5_a_path_with_a_hash_more_or_less_does_not_hold() {
    let tree = Tree::of(70);
    let root = root(&tree, 70);
    for index in 0..70 {
        let leaf = &tree.leaves()[index as usize];
        let path = inclusion(index, 70, &tree).unwrap();
        for at in 0..=path.len() {
            let mut longer = path.clone();
            longer.insert(at, [0; 32]);
            assert!(!verify_inclusion(leaf, index, 70, &longer, &root));
        }
        for at in 0..path.len() {
            let mut shorter = path.clone();
            shorter.remove(at);
            assert!(!verify_inclusion(leaf, index, 70, &shorter, &root));
        }
    }
}

#[test]
fn an_index_past_the_size_has_no_path() {
    let tree = Tree::of(3);
    for index in [3, 4, u64::MAX] {
        let error = inclusion(index, 3, &tree).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn a_hash_that_cannot_be_read_is_an_error() {
    let tree = Tree::of(3);
    assert!(root_at(4, &tree).is_err());
    assert!(inclusion(0, 4, &tree).is_err());
}

#[test]
fn the_largest_sizes_are_judged_without_overflow() {
    let path = [[0; 32]; 64];
    for index in [0, 1, u64::MAX - 1, u64::MAX] {
        for length in 0..=64 {
            assert!(!verify_inclusion(
                &[1; 32],
                index,
                u64::MAX,
                &path[..length],
                &[2; 32]
            ));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn p5_large_logs_prove_their_entries(
        size in 1_u64..140_000, seeds in prop::collection::vec(any::<(u64, u8, u16)>(), 20)
    ) {
        let tree = Tree::of(size);
        let new_root = root(&tree, size);
        prop_assert_eq!(root_at(size, &tree).unwrap(), new_root);
        for (seed, byte, bit) in seeds {
            let index = seed % size;
            let leaf = tree.leaves()[index as usize];
            let mut path = inclusion(index, size, &tree).unwrap();
            prop_assert!(verify_inclusion(&leaf, index, size, &path, &new_root));
            let length = path.len().max(1);
            if let Some(hash) = path.get_mut(usize::from(bit) % length) {
                hash[usize::from(byte) % 32] ^= 1 << (bit % 8);
                prop_assert!(!verify_inclusion(&leaf, index, size, &path, &new_root));
            }
        }
    }
}
