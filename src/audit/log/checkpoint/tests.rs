//! Tests of checkpoints.

use proptest::prelude::*;

use super::*;
use crate::audit::log::key::test_key;
use crate::audit::log::merkle::{leaf, root_of};

/// The published checkpoint.
const SIGNED: &str = "lychgate.test/log\n5\nfKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=\n\n\
    \u{2014} lychgate.test/log yyHrwWLRa0Rw2BaHc4fqmrHY0wG5iCZeW9RVJgwSEGheUEmS2f2PE06Vg4QYnqEl6jtA8wIb2/IMAraTq738plPFpQo=\n";

fn five() -> Checkpoint {
    let leaves: Vec<_> = (0..5)
        .map(|i| leaf(format!("entry {i}").as_bytes()))
        .collect();
    Checkpoint {
        origin: "lychgate.test/log".into(),
        size: 5,
        root: root_of(&leaves),
    }
}

fn malformed(text: &str) -> bool {
    matches!(Checkpoint::parse(text), Err(CheckpointError::Malformed(_)))
}

#[test]
fn p4_a_checkpoint_is_that_of_the_published_vector() {
    let signed = five().sign(&test_key());
    assert_eq!(String::from_utf8(signed.clone()).unwrap(), SIGNED);
    assert_eq!(signed.len(), 181);
    assert_eq!(Checkpoint::open(&signed, test_key().verifier()), Ok(five()));
}

#[test]
fn p4_each_flipped_bit_of_a_signed_checkpoint_is_refused() {
    let (key, signed) = (test_key(), five().sign(&test_key()));
    for bit in 0..signed.len() * 8 {
        let mut flipped = signed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let judged = Checkpoint::open(&flipped, key.verifier());
        assert!(judged.is_err(), "bit {bit}: {judged:?}");
    }
}

#[test]
fn p4_a_checkpoint_cut_at_any_byte_is_refused() {
    for cut in 0..SIGNED.len() {
        assert!(Checkpoint::open(&SIGNED.as_bytes()[..cut], test_key().verifier()).is_err());
    }
}

#[test]
fn p4_another_key_of_the_same_origin_did_not_sign_it() {
    let stranger = Key::generate("lychgate.test/log").unwrap();
    let judged = Checkpoint::open(SIGNED.as_bytes(), stranger.verifier());
    assert!(matches!(
        judged,
        Err(CheckpointError::Note(NoteError::Unsigned(_)))
    ));
}

#[test]
fn a_checkpoint_of_another_origin_is_refused() {
    let other = Checkpoint {
        origin: "other.test/log".into(),
        ..five()
    };
    assert_eq!(
        Checkpoint::open(&other.sign(&test_key()), test_key().verifier()),
        Err(CheckpointError::Origin {
            found: "other.test/log".into(),
            wanted: "lychgate.test/log".into()
        })
    );
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let note = note::sign(&test_key(), &format!("{}extension\n", five().text()));
    assert_eq!(
        Checkpoint::open(note.as_bytes(), test_key().verifier()),
        Err(CheckpointError::Malformed(
            "its text does not have three lines"
        ))
    );
}

#[test]
fn a_receipt_is_no_checkpoint() {
    let text = five()
        .text()
        .replace("lychgate.test/log", "lychgate-receipt");
    assert!(malformed(&text));
}

#[test]
fn an_empty_log_has_the_empty_root() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(
        Checkpoint::parse(&format!("a\n0\n{root}\n")).unwrap().size,
        0
    );
    assert!(malformed(&five().text().replace("\n5\n", "\n0\n")));
}

#[test]
fn a_text_has_one_spelling() {
    let good = five().text();
    assert_eq!(Checkpoint::parse(&good), Ok(five()));
    for (from, to) in [
        ("\n5\n", "\n05\n"),
        ("\n5\n", "\n+5\n"),
        ("\n5\n", "\n5 \n"),
        ("\n5\n", "\n\n5\n"),
        ("\n5\n", "\n18446744073709551616\n"),
        ("\n5\n", "\n-5\n"),
        ("\n5\n", "\n"),
        ("nI=\n", "nJ=\n"),
        ("nI=\n", "nI\n"),
        ("nI=\n", "nI=\r\n"),
        ("nI=\n", "nI="),
        ("nI=\n", "nI=\n\n"),
        ("fKo0", ""),
        ("lychgate.test/log", ""),
        ("lychgate.test/log", "a b"),
        ("lychgate.test/log", "a+b"),
    ] {
        assert!(malformed(&good.replace(from, to)), "{from:?} as {to:?}");
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "(\n|5|0|[a-z]{1,5}|=|\\PC){0,30}") {
        let _ = Checkpoint::parse(&text);
    }

    #[test]
    fn a_written_checkpoint_is_read_back(origin in "[!-*,-~]{1,255}", size in 1_u64.., root: Hash) {
        let checkpoint = Checkpoint { origin, size, root };
        prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
    }
}
