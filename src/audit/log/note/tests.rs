//! Tests of signed notes.

use proptest::prelude::*;

use super::*;
use crate::audit::log::key::test_key;

/// The published checkpoint of five entries, and a cosigner's line for it.
const SIGNED: &str = "lychgate.test/log\n5\nfKo0Xb2JKmZFTWxlEuo8PqPw0+whvj/C4jdXBf049nI=\n\n\
    \u{2014} lychgate.test/log yyHrwWLRa0Rw2BaHc4fqmrHY0wG5iCZeW9RVJgwSEGheUEmS2f2PE06Vg4QYnqEl6jtA8wIb2/IMAraTq738plPFpQo=\n";
const COSIGNED: &str = "\u{2014} lychgate.test/witness ex/8PAAAAABkGFDLyOEFf/rrelyIbjVZDdKSCwXA82UNun9kdRbMGve83jIRlUBnkhnYpb+Fv4Bfr+oNYFfu3wkCLDNYxQfDzYByCA==\n";

fn text() -> &'static str {
    &SIGNED[..SIGNED.find("\n\n").unwrap() + 1]
}

fn judge(note: &str) -> Result<(), NoteError> {
    Note::parse(note.as_bytes())?.verify(test_key().verifier())
}

#[test]
fn a_note_is_signed_as_in_the_published_vector() {
    assert_eq!(sign(&test_key(), text()), SIGNED);
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
    assert_eq!(
        error,
        NoteError::Unsigned(test_key().verifier().to_string())
    );
}

#[test]
fn another_key_of_the_same_name_is_unknown() {
    let stranger = Key::generate("lychgate.test/log").unwrap();
    let note = sign(&stranger, text());
    assert!(matches!(judge(&note), Err(NoteError::Unsigned(_))));
}

#[test]
fn a_wrong_signature_beside_a_right_one_refuses() {
    let key = test_key();
    let other = sign(&key, "other\n");
    let line = other.rsplit_once("\n\n").unwrap().1;
    let error = judge(&format!("{SIGNED}{line}")).unwrap_err();
    assert_eq!(error, NoteError::Wrong(key.verifier().to_string()));
}

#[test]
fn the_last_empty_line_ends_the_text() {
    let note = sign(&test_key(), "a\n\nb\n\n");
    assert_eq!(Note::parse(note.as_bytes()).unwrap().text(), "a\n\nb\n\n");
    assert_eq!(judge(&note), Ok(()));
}

#[test]
fn sixteen_signatures_are_taken_and_too_many_are_not() {
    let with = |lines: usize| format!("{SIGNED}{}", COSIGNED.repeat(lines - 1));
    assert_eq!(judge(&with(16)), Ok(()));
    assert_eq!(judge(&with(MAX_SIGNATURES)), Ok(()));
    assert!(matches!(
        judge(&with(MAX_SIGNATURES + 1)),
        Err(NoteError::Malformed(_))
    ));
}

#[test]
fn sixteen_of_the_longest_signatures_fit() {
    let line = format!(
        "{DASH}{} {}\n",
        "w".repeat(255),
        strict::encode(&[7; 4 + 8 + 2_420])
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
        assert!(
            matches!(judge(bad), Err(NoteError::Malformed(_))),
            "{bad:?}"
        );
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
        let note = sign(&test_key(), &text);
        let read = Note::parse(note.as_bytes()).unwrap();
        prop_assert_eq!(read.text(), text);
        prop_assert_eq!(judge(&note), Ok(()));
    }
}
