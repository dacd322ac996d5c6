//! Examples of bodies, then the scanner against serde_json.

use proptest::prelude::*;

use super::*;

fn ids(body: &str) -> Vec<String> {
    parse(body.as_bytes()).unwrap_or_else(|fault| panic!("{body}: {fault:?}"))
}

fn invalid(bodies: &[&str]) {
    for body in bodies {
        let fault = parse(body.as_bytes()).unwrap_err();
        assert!(matches!(fault, IdsFault::Invalid(_)), "{body}: {fault:?}");
    }
}

#[test]
fn numbers_and_strings_are_ids_in_their_order() {
    assert_eq!(ids("[3,\"1\",2]"), ["3", "1", "2"]);
    assert_eq!(ids("[9223372036854775807]"), ["9223372036854775807"]);
}

#[test]
fn json_white_space_is_fine_everywhere() {
    assert_eq!(ids(" \t\r\n[ 1 ,\n\"2\"\t, 3 ]\r\n "), ["1", "2", "3"]);
}

#[test]
fn white_space_that_is_not_json_s_is_not() {
    invalid(&["[1]\u{b}", "\u{c}[1]", "[\u{a0}1]", "[1\u{2028}]", "[1]\0"]);
}

#[test]
fn strings_are_compared_after_unescaping() {
    assert_eq!(ids(r#"["\u0031\u0030"]"#), ["10"]);
    invalid(&[
        r#"["1","\u0031"]"#,
        r#"[1,"\u0031"]"#,
        r#"["\u0030"]"#,
        r#"["\u00310","10"]"#,
    ]);
}

#[test]
fn an_empty_body_or_array_or_object_is_invalid() {
    invalid(&[
        "",
        " ",
        "[]",
        "[ ]",
        "{}",
        "null",
        "1",
        "\"1\"",
        "true",
        "{\"ids\":[1]}",
    ]);
}

#[test]
fn an_invalid_id_is_invalid() {
    invalid(&[
        "[0]",
        "[-0]",
        "[-1]",
        "[01]",
        "[1.0]",
        "[1e3]",
        "[1E0]",
        "[+1]",
        "[\"x\"]",
        "[\"\"]",
        "[\"01\"]",
        "[\"-1\"]",
        "[\" 1\"]",
        "[\"1 \"]",
        "[\"1.0\"]",
        "[null]",
        "[true]",
        "[{}]",
        "[9223372036854775808]",
        "[\"9223372036854775808\"]",
        "[99999999999999999999]",
        "[111111111111111111111111111111]",
        "[0x1]",
        "[1n]",
        "['1']",
        "[NaN]",
        "[\"\u{661}\"]",
    ]);
}

#[test]
fn nested_arrays_are_invalid() {
    invalid(&["[[1]]", "[1,[2]]", "[[]]", "[{\"id\":1}]"]);
}

#[test]
fn an_id_twice_in_any_spelling_is_invalid() {
    for body in ["[1,1]", "[\"1\",1]", "[1,2,\"1\"]", "[\"7\",\"7\"]"] {
        assert_eq!(
            parse(body.as_bytes()),
            Err(IdsFault::Invalid("the body names a user twice"))
        );
    }
}

#[test]
fn commas_are_allowed_between_ids_only() {
    invalid(&[
        "[1,]",
        "[,1]",
        "[1,,2]",
        "[,]",
        "[1 2]",
        "[1\"2\"]",
        "[\"1\"2]",
        "[\"1\"\"2\"]",
    ]);
}

#[test]
fn content_after_the_array_is_invalid() {
    invalid(&["[1]x", "[1][2]", "[1],", "[1]]", "[1] //", "[1]\u{feff}"]);
}

#[test]
fn a_byte_order_mark_is_invalid() {
    assert!(
        matches!(parse(b"\xef\xbb\xbf[1]"), Err(IdsFault::Invalid(text)) if text.contains("mark"))
    );
    invalid(&["\u{feff}", "[\u{feff}1]"]);
    assert!(parse(b"\xff\xfe[\x001\x00]\x00").is_err(), "UTF-16");
}

#[test]
fn a_body_cut_short_is_invalid() {
    invalid(&[
        "[",
        "[1",
        "[1,",
        "[\"",
        "[\"1",
        "[\"1\"",
        "[\"\\u003",
        "[\"\\",
    ]);
}

#[test]
fn broken_or_other_escapes_are_invalid() {
    invalid(&[
        r#"["\1"]"#,
        r#"["\u31"]"#,
        r#"["\u00zz"]"#,
        r#"["\n1"]"#,
        r#"["\U0031"]"#,
        r#"["\ud8351"]"#,
    ]);
    invalid(&[r"[\u0031]", r#"["1\u0000"]"#]);
    assert!(parse(b"[\"\xff\"]").is_err());
}

fn array_of(count: usize) -> String {
    let numbers: Vec<String> = (1..=count).map(|id| id.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

#[test]
fn five_thousand_ids_pass_and_one_more_is_too_many() {
    assert_eq!(ids(&array_of(MAX_IDS)).len(), MAX_IDS);
    assert_eq!(
        parse(array_of(MAX_IDS + 1).as_bytes()),
        Err(IdsFault::TooMany)
    );
}

#[test]
fn five_thousand_of_the_longest_ids_fit_the_body_bound() {
    let longest = "\"9223372036854775807\",".len() * MAX_IDS;
    assert!(longest < MAX_BODY_BYTES);
}

#[test]
fn a_query_names_the_same_set_in_any_order() {
    let body = ids("[1,2,3]");
    for value in ["1,2,3", "3,1,2"] {
        assert!(query_names_the_same(value, &body), "{value}");
    }
    for value in [
        "",
        "1",
        "1,2",
        "1,2,3,4",
        "1,2,4",
        "1,2,2",
        "1,2,3,3",
        "1,2,3,",
        ",1,2,3",
        "01,2,3",
        "+1,2,3",
        "1, 2,3",
        "%31,2,3",
        "1%2C2%2C3",
        "1;2;3",
        "a,b,c",
        "1,2,3;v=4.0",
        "[1,2,3]",
    ] {
        assert!(!query_names_the_same(value, &body), "{value}");
    }
    assert!(query_names_the_same("7", &ids("[\"7\"]")));
    assert!(!query_names_the_same("", &[]));
}

/// What a general JSON reader makes of a body: the ids as text, or nothing.
fn by_serde(body: &[u8]) -> Option<Vec<String>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(body).ok()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    values.iter().map(text).collect()
}

proptest! {
    #[test]
    fn serde_json_reads_the_same_ids_from_a_valid_body(
        body in r#" ?\[( ?("?[0-9]{1,3}"?|"(\\u003[0-9])[0-9]?"|-?[0-9.e]{1,3}) ?,?){0,4}\] ?,?"#
    ) {
        if let Ok(found) = parse(body.as_bytes()) {
            prop_assert_eq!(Some(found), by_serde(body.as_bytes()));
        }
    }

    #[test]
    fn distinct_valid_ids_of_serde_json_pass(
        wanted in prop::collection::btree_set(1..=i64::MAX, 1..30), quoted in any::<u32>(), pretty in any::<bool>()
    ) {
        let values: Vec<serde_json::Value> = wanted.iter().enumerate().map(|(at, id)| {
            if quoted >> at & 1 == 1 { id.to_string().into() } else { (*id).into() }
        }).collect();
        let body = if pretty { serde_json::to_vec_pretty(&values) } else { serde_json::to_vec(&values) }.unwrap();
        let wanted: Vec<String> = wanted.iter().map(i64::to_string).collect();
        prop_assert_eq!(parse(&body), Ok(wanted.clone()));
        prop_assert!(query_names_the_same(&wanted.join(","), &wanted));
    }

    #[test]
    fn it_never_panics_and_passes_nothing_that_serde_refuses(
        body in prop::collection::vec(prop::sample::select(b"[]\", \\u0031239.e-\n\xef".to_vec()), 0..24)
    ) {
        if let Ok(found) = parse(&body) {
            prop_assert_eq!(Some(found), by_serde(&body));
        }
    }
}
