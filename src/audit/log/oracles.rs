//! Checks our formats with other implementations: `tlog_tiles` and `signed_note`, ports of Go's
//! sumdb packages.

use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles as oracle;

use super::checkpoint::{Checkpoint, Note, sign_note};
use super::key::{Key, test_key};
use super::merkle::test_tree::{Tree, leaves};
use super::merkle::{Hash, inclusion, root_at, verify_inclusion};
use super::tiles::{Tile, tiles_at};

/// The seed 00 01 … 1f under the origin of the published vectors.
const SIGNER: &str =
    "PRIVATE+KEY+lychgate.test/log+cb21ebc1+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

/// The hashes in the storage that the other implementation reads.
#[derive(Default)]
struct Store(Vec<oracle::Hash>);

impl oracle::HashReader for Store {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<oracle::Hash>, oracle::Error> {
        let hash = |index: &u64| self.0.get(*index as usize).copied();
        let found: Option<Vec<_>> = indexes.iter().map(hash).collect();
        found.ok_or(oracle::Error::IndexesNotInTree)
    }
}

fn store(size: u64) -> Store {
    let mut store = Store::default();
    for index in 0..size {
        let entry = format!("entry {index}");
        let hashes = oracle::stored_hashes(index, entry.as_bytes(), &store).unwrap();
        store.0.extend(hashes);
    }
    store
}

fn theirs(path: &[Hash]) -> Vec<oracle::Hash> {
    path.iter().copied().map(oracle::Hash).collect()
}

fn ours(path: &[oracle::Hash]) -> Vec<Hash> {
    path.iter().map(|hash| hash.0).collect()
}

fn verifiers(key: &Key) -> VerifierList {
    let verifier = StandardVerifier::new(&key.verifier().to_string()).unwrap();
    VerifierList::new(vec![Box::new(verifier)])
}

/// Sizes around each power of two up to 1,024, and past a tile of tiles.
fn sizes() -> impl Iterator<Item = u64> {
    let near = |power: u64| power.saturating_sub(1)..=power + 1;
    (0..11)
        .flat_map(move |bit| near(1 << bit))
        .chain([600, 66_000])
}

#[test]
fn p4_another_implementation_has_the_same_leaves_and_roots() {
    let (tree, store) = (Tree::of(66_000), store(66_000));
    for (index, leaf) in leaves(5).enumerate() {
        let entry = format!("entry {index}");
        assert_eq!(oracle::record_hash(entry.as_bytes()).0, leaf);
    }
    for size in sizes() {
        let root = oracle::tree_hash(size, &store).unwrap();
        assert_eq!(root_at(size, &tree).unwrap(), root.0, "{size}");
    }
}

#[test]
fn p5_another_implementation_has_the_same_inclusion_proofs() {
    let (tree, store) = (Tree::of(66_000), store(66_000));
    for size in sizes().filter(|&size| size > 0) {
        let root = root_at(size, &tree).unwrap();
        for index in sizes().filter(|&index| index < size) {
            let leaf = tree.leaves()[index as usize];
            let path = inclusion(index, size, &tree).unwrap();
            let proof = oracle::prove_record(size, index, &store).unwrap();
            assert_eq!(ours(&proof), path, "{index} in {size}");
            let (hash, leaf_hash) = (oracle::Hash(root), oracle::Hash(leaf));
            assert!(oracle::check_record(&theirs(&path), size, hash, index, leaf_hash).is_ok());
            assert!(verify_inclusion(&leaf, index, size, &ours(&proof), &root));
        }
    }
}

#[test]
fn another_implementation_writes_the_same_tiles() {
    let (tree, store) = (Tree::of(66_000), store(66_000));
    for size in [0, 1, 6, 257, 600, 66_000] {
        let tiles: Vec<Tile> = tiles_at(size).collect();
        let wanted = oracle::Tile::new_tiles(8, 0, size);
        assert_eq!(tiles.len(), wanted.len(), "{size}");
        for (tile, wanted) in tiles.iter().zip(wanted) {
            // The other paths contain the tile height, as in Go's sumdb; those of C2SP do not.
            assert_eq!(tile.path(), wanted.path().replacen("tile/8/", "tile/", 1));
            assert_eq!(
                super::tiles::encode_tile(&tree.tile(*tile)),
                wanted.read_data(&store).unwrap()
            );
        }
    }
}

#[test]
fn p4_another_implementation_reads_our_checkpoint() {
    let key = test_key();
    let tree = Tree::of(5);
    let checkpoint = Checkpoint {
        origin: key.origin().into(),
        size: 5,
        root: root_at(5, &tree).unwrap(),
    };
    let note = signed_note::Note::from_bytes(&checkpoint.sign(&key)).unwrap();
    let (verified, others) = note.verify(&verifiers(&key)).unwrap();
    assert_eq!((verified.len(), others.len()), (1, 0));
    let read = oracle::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(read.origin(), checkpoint.origin);
    assert_eq!(read.size(), 5);
    assert_eq!(read.hash().0, checkpoint.root);
    assert_eq!(read.to_bytes(), checkpoint.text().into_bytes());
}

#[test]
fn another_implementation_signs_the_same_note() {
    let signer = StandardSigner::new(SIGNER).unwrap();
    let text = "lychgate.test/log\n5\nfKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=\n";
    let mut wanted = signed_note::Note::new(text.as_bytes(), &[]).unwrap();
    wanted.add_sigs(&[&signer]).unwrap();
    let note = sign_note(&Key::parse(SIGNER).unwrap(), text);
    assert_eq!(note.as_bytes(), wanted.to_bytes());
    let read = Note::parse(&wanted.to_bytes()).unwrap();
    assert_eq!(read.verify(test_key().verifier()), Ok(()));
}

#[test]
fn p4_each_flipped_bit_of_a_note_is_refused_by_both() {
    let key = test_key();
    let signed = sign_note(&key, "a\nb\n").into_bytes();
    let known = verifiers(&key);
    for bit in 0..signed.len() * 8 {
        let mut flipped = signed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let judged = Note::parse(&flipped).and_then(|note| note.verify(key.verifier()));
        assert!(judged.is_err(), "bit {bit}");
        let accepted =
            signed_note::Note::from_bytes(&flipped).is_ok_and(|note| note.verify(&known).is_ok());
        assert!(!accepted, "bit {bit}");
    }
}
