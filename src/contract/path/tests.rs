//! Examples of paths, then properties of accepted paths.

use proptest::prelude::*;

use super::*;

const BASE: &str = "/api/account/12345678/configuration/le-users/users";

fn refused_after_base(tails: &[&str]) {
    for tail in tails {
        let path = format!("{BASE}{tail}");
        assert!(check(&path).is_err(), "{path}");
    }
}

#[test]
fn plain_paths_pass() {
    for tail in [
        "",
        "/1",
        "/42/resetPassword",
        "/abc",
        "/-1",
        "/a:b@c!$&'()*+,=~",
        "/...",
    ] {
        let path = format!("{BASE}{tail}");
        assert_eq!(check(&path), Ok(()), "{path}");
    }
    assert_eq!(check("/"), Ok(()));
}

#[test]
fn a_path_begins_with_a_slash() {
    for path in ["", "*", "api/account", "%2Fapi"] {
        assert!(check(path).is_err(), "{path}");
    }
}

#[test]
fn dot_segments_are_refused_in_every_spelling() {
    for dots in [
        ".", "..", "%2e", "%2E", "%2e%2e", "%2E%2E", ".%2e", "%2E.", "%2e%2E",
    ] {
        for path in [
            format!("{BASE}/{dots}"),
            format!("/{dots}{BASE}"),
            format!("{BASE}/{dots}/1"),
        ] {
            assert!(check(&path).unwrap_err().contains("dot segment"), "{path}");
        }
    }
}

#[test]
fn encoded_slashes_and_backslashes_are_refused() {
    refused_after_base(&["%2F1", "/1%2f2", "/%2F", "/1%5C2", "/%5c", "/1\\2", "\\1"]);
}

#[test]
fn doubled_and_trailing_slashes_are_refused() {
    refused_after_base(&["/", "//", "//1", "/1/", "/1//resetPassword"]);
    assert!(check(&format!("/{BASE}")).is_err());
    assert!(check("//").is_err());
}

#[test]
fn escaped_unreserved_characters_are_refused() {
    refused_after_base(&[
        "/12%33", "/%41", "/%61bc", "/%7E", "/%7e", "/%2D1", "/%5f", "/%30",
    ]);
    assert!(check("/api/%61ccount").is_err());
}

#[test]
fn broken_escapes_are_refused() {
    refused_after_base(&[
        "/%", "/1%", "/%2", "/%zz", "/%2g", "/%%33", "/%u0031", "/% 1",
    ]);
}

#[test]
fn parameters_are_refused() {
    refused_after_base(&[";x/1", "/1;x", "/;", "/1;", "/1;jsessionid=2"]);
}

#[test]
fn characters_outside_rfc_3986_are_refused() {
    refused_after_base(&[
        "/1 ", "/\"", "/<", "/>", "/^", "/`", "/{user}", "/|", "/\u{e9}", "/\0", "/\n", "/?", "/#",
        "/[1]", "/\u{7f}",
    ]);
}

#[test]
fn escapes_of_reserved_characters_pass() {
    // Double encoding stays data: a single decoding gives `%2e`, which is neither a dot segment nor
    // a valid id.
    assert_eq!(check("/%20/%3A/%C3%A9/%252e%252e"), Ok(()));
    assert!(!is_user_id("%252e"));
}

#[test]
fn an_account_has_one_to_twenty_word_characters() {
    for account in ["1", "12345678", "le_123", "A", "abcdefghijklmnopqrst"] {
        assert!(is_account(account), "{account}");
    }
    for account in [
        "",
        "abcdefghijklmnopqrstu",
        "a-b",
        "a.b",
        "a%20",
        "\u{e9}",
        "1 ",
        "{account}",
    ] {
        assert!(!is_account(account), "{account}");
    }
}

#[test]
fn a_user_id_is_a_positive_64_bit_integer_in_its_one_spelling() {
    for id in ["1", "9", "10", "700100042", "9223372036854775807"] {
        assert!(is_user_id(id), "{id}");
    }
    for id in [
        "",
        "0",
        "-1",
        "+1",
        "01",
        "00",
        "abc",
        "1a",
        "1.0",
        "1e3",
        " 1",
        "1 ",
        "0x1",
        "9223372036854775808",
        "9999999999999999999",
        "18446744073709551617",
        "10000000000000000000",
        "\u{661}",
        "query",
        "batch",
    ] {
        assert!(!is_user_id(id), "{id}");
    }
}

/// Decodes every escape, as a lenient upstream would.
fn decoded(path: &str) -> Vec<u8> {
    let mut rest = path.as_bytes();
    let mut out = Vec::new();
    while let [byte, after @ ..] = rest {
        match (byte, escaped_byte(after)) {
            (b'%', Some(escaped)) => {
                out.push(escaped);
                rest = &after[2..];
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn a_plain_path_keeps_its_segments_in_any_decoding(
        path in "(/([a-z0-9.%;~\\\\/]|%2[eEfF]|%5[cC]|%3[0-9bB]|%20|%25){0,6}){1,5}"
    ) {
        if check(&path).is_ok() && path != "/" {
            let decoded = decoded(&path);
            let segments: Vec<&[u8]> = decoded[1..].split(|byte| *byte == b'/').collect();
            prop_assert_eq!(segments.len(), path.matches('/').count());
            for segment in segments {
                prop_assert!(!segment.is_empty() && segment != b"." && segment != b"..");
                prop_assert!(!segment.contains(&b'\\'));
            }
            prop_assert!(!path.contains(';'));
        }
    }

    #[test]
    fn a_normalizer_leaves_a_plain_path_unchanged(path in "(/[a-zA-Z0-9.~%+]{1,8}){1,5}") {
        // RFC 3986 §6.2.2: decodes unreserved escapes and removes dot segments.
        if check(&path).is_ok() {
            let normal: Vec<&str> = path.split('/').filter(|s| *s != "." && *s != "..").collect();
            prop_assert_eq!(normal.join("/"), path.as_str());
            for (at, _) in path.match_indices('%') {
                let byte = escaped_byte(&path.as_bytes()[at + 1..]).unwrap();
                prop_assert!(!is_unreserved(byte));
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(path in "\\PC*", bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = check(&path);
        let _ = check(&format!("/{}", String::from_utf8_lossy(&bytes)));
    }

    #[test]
    fn every_positive_i64_is_a_user_id_and_no_neighbor_is(id in 1..=i64::MAX) {
        prop_assert!(is_user_id(&id.to_string()));
        for other in [format!("0{id}"), format!("-{id}")] {
            prop_assert!(!is_user_id(&other));
        }
        prop_assert_eq!(user_number(id.to_string().as_bytes()), Some(id.unsigned_abs()));
    }

    #[test]
    fn a_user_id_is_a_positive_i64_in_its_printed_form(text in "[-+0-9]{0,21}") {
        let same = text.parse::<i64>().is_ok_and(|n| n > 0 && n.to_string() == text);
        prop_assert_eq!(is_user_id(&text), same);
    }
}
