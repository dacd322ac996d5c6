//! Tests of offline proofs.

use proptest::prelude::*;

use super::*;
use crate::audit::log::hex;
use crate::audit::log::key::{Key, test_key};
use crate::audit::log::merkle::test_tree::Tree;
use crate::audit::log::merkle::{inclusion, leaf, root_at, sha256};

impl TlogProof {
    /// Verifies the proof for the entry on its `extra` line.
    pub(crate) fn verify_entry(
        &self,
        key: &VerifierKey,
    ) -> Result<(Checkpoint, &[u8]), FormatError> {
        let entry = self.extra.as_deref().unwrap_or_default();
        Ok((self.verify(&leaf(entry), key)?, entry))
    }
}

const NOT_INCLUDED: &str = "not entry 3 of the log of 5 entries that was signed";

/// The published proof of entry 3 in a log of 5.
fn proof() -> TlogProof {
    of(3, 5, Some(b"entry 3"))
}

fn of(index: u64, size: u64, extra: Option<&[u8]>) -> TlogProof {
    let tree = Tree::of(size);
    let checkpoint = Checkpoint {
        origin: "lychgate.test/log".into(),
        size,
        root: root_at(size, &tree).unwrap(),
    };
    TlogProof {
        extra: extra.map(Into::into),
        index,
        path: inclusion(index, size, &tree).unwrap(),
        checkpoint: checkpoint.sign(&test_key()),
    }
}

fn refused(proof: &TlogProof) -> FormatError {
    proof.verify_entry(test_key().verifier()).unwrap_err()
}

#[test]
fn p5_a_proof_is_that_of_the_published_vector() {
    let text = proof().to_text();
    assert_eq!(text.len(), 367);
    assert_eq!(
        hex(&sha256(&text)),
        "9f0d377a7275ac2102b3f352c01c01329760b21aef152efb08c673ceb2d92d66"
    );
    let read = TlogProof::parse(&text).unwrap();
    assert_eq!(read, proof());
    let (checkpoint, entry) = read.verify_entry(test_key().verifier()).unwrap();
    assert_eq!((checkpoint.size, entry), (5, b"entry 3".as_slice()));
}

#[test]
fn p5_each_flipped_bit_of_a_proof_is_refused() {
    let (key, text) = (test_key(), proof().to_text());
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let judged = TlogProof::parse(&flipped)
            .and_then(|proof| proof.verify_entry(key.verifier()).map(|(c, _)| c));
        assert!(judged.is_err(), "bit {bit}: {judged:?}");
    }
}

#[test]
fn p5_a_proof_cut_at_any_byte_is_refused() {
    let text = proof().to_text();
    for cut in 0..text.len() {
        assert!(TlogProof::parse(&text[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn p5_the_leaf_may_come_from_outside() {
    let proof = of(3, 5, None);
    let key = test_key();
    assert!(proof.verify(&leaf(b"entry 3"), key.verifier()).is_ok());
    let other = proof.verify(&leaf(b"entry 2"), key.verifier());
    assert!(other.unwrap_err().to_string().contains(NOT_INCLUDED));
}

#[test]
fn p5_an_entry_that_is_not_in_the_log_is_refused() {
    let forged = of(3, 5, Some(b"entry 4"));
    assert!(refused(&forged).to_string().contains(NOT_INCLUDED));
}

#[test]
fn p5_a_proof_under_another_key_is_refused() {
    let stranger = Key::generate("lychgate.test/log").unwrap();
    let judged = proof().verify_entry(stranger.verifier()).unwrap_err();
    let what = "the proof's checkpoint: not signed by ";
    assert!(judged.to_string().starts_with(what), "{judged}");
}

#[test]
fn cosignatures_stay_and_are_ignored() {
    let mut proof = proof();
    proof.checkpoint.extend_from_slice(
        "\u{2014} lychgate.test/witness ex/8PAAAAABkGFDLyOEFf/rrelyIbjVZDdKSCwXA82UNun9kdRbMGve83jIRlUBnkhnYpb+Fv4Bfr+oNYFfu3wkCLDNYxQfDzYByCA==\n".as_bytes(),
    );
    let read = TlogProof::parse(&proof.to_text()).unwrap();
    assert_eq!(read, proof);
    assert!(read.verify_entry(test_key().verifier()).is_ok());
}

#[test]
fn the_only_entry_has_an_empty_path() {
    let proof = of(0, 1, Some(b"entry 0"));
    assert!(proof.path.is_empty());
    let read = TlogProof::parse(&proof.to_text()).unwrap();
    assert!(read.verify_entry(test_key().verifier()).is_ok());
}

#[test]
fn the_longest_entry_fits() {
    let longest = TlogProof {
        extra: Some(vec![7; MAX_ENTRY_BYTES]),
        index: u64::MAX,
        path: vec![[9; 32]; MAX_PATH],
        ..proof()
    };
    assert_eq!(TlogProof::parse(&longest.to_text()), Ok(longest));
}

#[test]
fn a_proof_has_one_spelling() {
    let good = String::from_utf8(proof().to_text()).unwrap();
    let hash = "V8efTzGuApxdS9MLBzwnyU35NDiytGl+Hh7vW8A5SkE=\n";
    for (from, to) in [
        ("@v1", "@v2"),
        ("c2sp.org", "\nc2sp.org"),
        ("extra ", "extra"),
        ("extra ", "extra  "),
        ("extra ", "Extra "),
        ("ZW50cnkgMw==", "ZW50cnkgMx=="),
        ("ZW50cnkgMw==", "ZW50cnkgMw"),
        ("index 3", "index 03"),
        ("index 3", "index +3"),
        ("index 3", "index 3 "),
        ("index 3", "index 18446744073709551616"),
        ("index 3\n", ""),
        ("index 3\n", "index 3\nindex 3\n"),
        ("index 3\n", "index 3\nextra AAAA\n"),
        ("index 3\n", "extra AAAA\nindex 3\n"),
        ("SkE=\n", "SkF=\n"),
        ("SkE=\n", "SkE=\r\n"),
        (hash, &hash.repeat(MAX_PATH + 1)),
        ("\n\n", "\n"),
        ("\n\nlychgate", "\n\n\nlychgate"),
    ] {
        let bad = good.replacen(from, to, 1);
        let judged = TlogProof::parse(bad.as_bytes()).and_then(|proof| {
            proof.verify_entry(test_key().verifier())?;
            Ok(proof.index)
        });
        assert!(judged.is_err(), "{from:?} as {to:?}");
    }
    assert!(TlogProof::parse(&vec![b'\n'; MAX_PROOF_BYTES + 1]).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = TlogProof::parse(&bytes);
    }

    #[test]
    fn random_lines_never_panic(
        lines in "(c2sp.org/tlog-proof@v1\n)?(extra |index |[0-9]{1,21}|\n|=|[a-zA-Z0-9+/]{43}=\n|\u{2014} |\\PC){0,20}"
    ) {
        let _ = TlogProof::parse(lines.as_bytes());
    }

    #[test]
    fn a_written_proof_is_read_back(
        extra: Option<Vec<u8>>, index: u64, path in prop::collection::vec(any::<Hash>(), 0..=MAX_PATH)
    ) {
        let proof = TlogProof { extra, index, path, ..proof() };
        prop_assert_eq!(TlogProof::parse(&proof.to_text()), Ok(proof));
    }

    #[test]
    fn p5_random_damage_is_refused(place: prop::sample::Index, byte: u8, insert: bool) {
        let good = proof().to_text();
        let mut bad = good.clone();
        let at = place.index(good.len());
        if insert { bad.insert(at, byte) } else { bad[at] = byte }
        let judged = TlogProof::parse(&bad)
            .and_then(|proof| proof.verify_entry(test_key().verifier()).map(|(c, _)| c));
        prop_assert_eq!(judged.is_ok(), bad == good);
    }
}
