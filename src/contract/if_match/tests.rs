//! Examples from the API and the RFC, then properties.

use proptest::prelude::*;

use super::*;

fn each(values: &[&str], wanted: IfMatch) {
    for value in values {
        assert_eq!(parse(value.as_bytes()), Ok(wanted), "{value}");
    }
}

fn refused(values: &[&str], because: &str) {
    for value in values {
        let reason = parse(value.as_bytes()).unwrap_err();
        assert!(reason.contains(because), "{value}: {reason}");
    }
}

#[test]
fn a_revision_is_one_to_nineteen_digits() {
    each(
        &["0", "213", "9999999999999999999", "0000000000000000213"],
        IfMatch::Conditional,
    );
    refused(
        &["00000000000000000213", "12345678901234567890"],
        "19 digits",
    );
}

#[test]
fn a_strong_entity_tag_is_conditional() {
    each(
        &[
            "\"213\"", "\"a\"", "\"a,b\"", "\"!#~\"", "\"-2\"", "\"-1x\"", "\"**\"",
        ],
        IfMatch::Conditional,
    );
    assert_eq!(
        parse(b"\"\xe9\""),
        Ok(IfMatch::Conditional),
        "obs-text, RFC 9110 8.8.3"
    );
}

#[test]
fn minus_one_and_star_are_unconditional_quoted_or_not() {
    each(&["-1", "*", "\"-1\"", "\"*\""], IfMatch::Unconditional);
}

#[test]
fn an_empty_value_is_refused() {
    refused(&["", "\"\""], "empty");
}

#[test]
fn a_weak_tag_is_refused() {
    refused(&["W/\"1\"", "W/1", "w/\"1\"", "W/\"-1\"", "W/*"], "weak");
}

#[test]
fn a_list_is_refused() {
    refused(&["1,2", "213, 214", "*, 1", "-1,-1", "1,"], "list");
    refused(
        &["\"a\", \"b\"", "\"a\",\"b\"", "\"a\" \"b\""],
        "exactly one",
    );
}

#[test]
fn a_value_that_is_almost_valid_is_refused() {
    for value in [
        "-2", "+1", "--1", "1.0", "0x1", "a", "**", " 1", "1 ", "'1'", "1\"", "-", "1;2",
    ] {
        assert!(parse(value.as_bytes()).is_err(), "{value}");
    }
    refused(&["\"", "\"a", "\"-1", "\"a\"b"], "not closed");
}

#[test]
fn characters_that_no_tag_may_have_are_refused() {
    for tag in ["a b", "a\tb", "a\u{7f}", "a\nb", "a\"b", " -1"] {
        assert!(parse(format!("\"{tag}\"").as_bytes()).is_err(), "{tag}");
    }
}

#[test]
fn a_tag_is_at_most_256_bytes_with_its_quotes() {
    let tag = |inner: usize| format!("\"{}\"", "a".repeat(inner));
    assert_eq!(parse(tag(254).as_bytes()), Ok(IfMatch::Conditional));
    assert!(
        parse(tag(255).as_bytes())
            .unwrap_err()
            .contains("256 bytes")
    );
}

proptest! {
    #[test]
    fn only_the_four_spellings_are_unconditional(value in prop::collection::vec(any::<u8>(), 0..6)) {
        let four: [&[u8]; 4] = [b"-1", b"*", b"\"-1\"", b"\"*\""];
        prop_assert_eq!(parse(&value) == Ok(IfMatch::Unconditional), four.contains(&value.as_slice()));
    }

    #[test]
    fn a_valid_value_is_one_value_to_a_splitting_reader(value in "[-*W/\"0-9a, ]{0,12}") {
        if parse(value.as_bytes()).is_ok() {
            let outside_quotes = !value.starts_with('"');
            prop_assert!(!(outside_quotes && value.contains([',', ' '])));
            prop_assert!(matches!(value.matches('"').count(), 0 | 2));
            prop_assert!(!value.starts_with("W/"));
        }
    }

    #[test]
    fn every_64_bit_revision_passes_up_to_19_digits(revision in 0..10_u64.pow(19)) {
        prop_assert_eq!(parse(revision.to_string().as_bytes()), Ok(IfMatch::Conditional));
    }

    #[test]
    fn no_bytes_make_it_panic_and_none_over_256_pass(value in prop::collection::vec(any::<u8>(), 0..300)) {
        if parse(&value).is_ok() {
            prop_assert!(value.len() <= MAX_TAG_BYTES);
        }
    }
}

#[test]
fn a_compression_suffix_hides_no_unconditional_tag() {
    for value in ["\"-1--gzip\"", "\"*--gzip\"", "\"-1-gzip\"", "\"*;gzip\""] {
        assert_eq!(
            parse(value.as_bytes()),
            Ok(IfMatch::Unconditional),
            "{value}"
        );
    }
    assert_eq!(parse(b"\"42--gzip\""), Ok(IfMatch::Conditional));
}
