//! Tests of checkpoints and notes.

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
    let error = Checkpoint::parse(text).unwrap_err().to_string();
    error.starts_with("not a checkpoint: ")
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
    let error = judged.unwrap_err().to_string();
    assert!(error.starts_with("not signed by "), "{error}");
}

#[test]
fn a_checkpoint_of_another_origin_is_refused() {
    let other = Checkpoint {
        origin: "other.test/log".into(),
        ..five()
    };
    let refused = Checkpoint::open(&other.sign(&test_key()), test_key().verifier());
    assert_eq!(
        refused.unwrap_err().to_string(),
        "a checkpoint of other.test/log, not of lychgate.test/log"
    );
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let note = sign_note(&test_key(), &format!("{}extension\n", five().text()));
    let refused = Checkpoint::open(note.as_bytes(), test_key().verifier());
    assert_eq!(
        refused.unwrap_err().to_string(),
        "not a checkpoint: its text does not have three lines"
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

/// A cosigner's line for the published checkpoint.
const COSIGNED: &str = "\u{2014} lychgate.test/witness ex/8PAAAAABkGFDLyOEFf/rrelyIbjVZDdKSCwXA82UNun9kdRbMGve83jIRlUBnkhnYpb+Fv4Bfr+oNYFfu3wkCLDNYxQfDzYByCA==\n";

fn text() -> &'static str {
    &SIGNED[..SIGNED.find("\n\n").unwrap() + 1]
}

fn judge(note: &str) -> Result<(), FormatError> {
    Note::parse(note.as_bytes())?.verify(test_key().verifier())
}

#[test]
fn a_note_is_signed_as_in_the_published_vector() {
    assert_eq!(sign_note(&test_key(), text()), SIGNED);
    assert_eq!(Note::parse(SIGNED.as_bytes()).unwrap().text(), text());
    assert_eq!(judge(SIGNED), Ok(()));
}

#[test]
fn a_cosignature_is_ignored_on_either_side() {
    assert_eq!(judge(&format!("{SIGNED}{COSIGNED}")), Ok(()));
    let line = SIGNED.rsplit_once("\n\n").unwrap().1;
    assert_eq!(judge(&format!("{}\n{COSIGNED}{line}", text())), Ok(()));
}

#[test]
fn a_note_by_others_alone_is_refused() {
    let error = judge(&format!("{}\n{COSIGNED}", text())).unwrap_err();
    let expected = format!("not signed by {}", test_key().verifier());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn another_key_of_the_same_name_is_unknown() {
    let stranger = Key::generate("lychgate.test/log").unwrap();
    let note = sign_note(&stranger, text());
    let error = judge(&note).unwrap_err().to_string();
    assert!(error.starts_with("not signed by "), "{error}");
}

#[test]
fn a_wrong_signature_beside_a_right_one_refuses() {
    let key = test_key();
    let other = sign_note(&key, "other\n");
    let line = other.rsplit_once("\n\n").unwrap().1;
    let error = judge(&format!("{SIGNED}{line}")).unwrap_err();
    let wrong = format!("the signature by {} is wrong: ", key.verifier());
    assert!(error.to_string().starts_with(&wrong), "{error}");
}

#[test]
fn the_last_empty_line_ends_the_text() {
    let note = sign_note(&test_key(), "a\n\nb\n\n");
    assert_eq!(Note::parse(note.as_bytes()).unwrap().text(), "a\n\nb\n\n");
    assert_eq!(judge(&note), Ok(()));
}

#[test]
fn sixteen_signatures_are_taken_and_too_many_are_not() {
    let with = |lines: usize| format!("{SIGNED}{}", COSIGNED.repeat(lines - 1));
    assert_eq!(judge(&with(16)), Ok(()));
    assert_eq!(judge(&with(MAX_SIGNATURES)), Ok(()));
    let error = judge(&with(MAX_SIGNATURES + 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a signed note: it has over 64 signatures"
    );
}

#[test]
fn sixteen_of_the_longest_signatures_fit() {
    let line = format!(
        "{DASH}{} {}\n",
        "w".repeat(255),
        to_base64(&[7; 4 + 8 + 2_420])
    );
    assert_eq!(judge(&format!("{SIGNED}{}", line.repeat(16))), Ok(()));
}

#[test]
fn a_text_that_is_not_a_note_is_refused() {
    let line = SIGNED.rsplit_once("\n\n").unwrap().1;
    let long = "a".repeat(MAX_NOTE_BYTES);
    for bad in [
        "",
        "\n",
        "\n\n",
        text(),
        SIGNED.trim_end(),
        &format!("{}\n", text()),
        &format!("\n{line}"),
        &format!("{SIGNED}\n"),
        &SIGNED.replace('\n', "\r\n"),
        &SIGNED.replace("5\n", "5\t\n"),
        &SIGNED.replace('\u{2014}', "-"),
        &SIGNED.replace("pQo=", "pQp="),
        &SIGNED.replace("pQo=", "pQo"),
        &SIGNED.replace(" yyHr", "  yyHr"),
        &format!("{}\n{DASH}a yyHrwQ==\n", text()),
        &format!("{}\n{DASH}a+b yyHrwWI=\n", text()),
        &format!("{}\n{DASH}a\u{a0}b yyHrwWI=\n", text()),
        &format!("{}\n{DASH} yyHrwWI=\n", text()),
        &format!("{long}{SIGNED}"),
    ] {
        let error = judge(bad).unwrap_err().to_string();
        assert!(error.starts_with("not a signed note: "), "{bad:?}");
    }
    assert!(Note::parse(&[SIGNED.as_bytes(), &[0xff]].concat()).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Note::parse(&bytes);
    }

    #[test]
    fn random_lines_never_panic(note in "(a|\n|\u{2014} | |\\+|=|AAAA|[a-zA-Z0-9]{1,9}|\\PC){0,60}") {
        if let Ok(note) = Note::parse(note.as_bytes()) {
            prop_assert!(note.verify(test_key().verifier()).is_err());
        }
    }

    #[test]
    fn a_signed_note_is_read_back(text in "([ -~]{0,9}\n){1,9}") {
        let note = sign_note(&test_key(), &text);
        let read = Note::parse(note.as_bytes()).unwrap();
        prop_assert_eq!(read.text(), text);
        prop_assert_eq!(judge(&note), Ok(()));
    }
}
