//! Faults in contract files, each with its position.

use proptest::prelude::*;

use super::*;

const DELETE: &str = r#"
name = "users.delete"
method = "DELETE"
path = "{base}/{user}"
effect = "delete"
if_match = "required"
body = "none"
carried_by = ["DELETE", "POST"]
scope = "users.delete"
unconditional_scope = "users.delete.unconditional"
"#;

/// A file with these operations.
fn file(operations: &[&str]) -> String {
    let mut text =
        "name = \"test-1\"\nversion = \"4.0\"\nbase = \"/a/{account}/users\"\n".to_owned();
    for operation in operations {
        text.push_str("[[operation]]");
        text.push_str(operation);
    }
    text
}

/// The faults of a file as `place: message`, with the hint if it is not the usual one.
fn faults(text: &str) -> Vec<String> {
    let problems = Contract::parse(text).expect_err(text);
    let shown = |problem: Problem| {
        let place = &text[problem.span];
        match problem.hint.as_str() {
            EXAMPLE => format!("{place}: {}", problem.message),
            hint => format!("{place}: {}; {hint}", problem.message),
        }
    };
    problems.into_iter().map(shown).collect()
}

/// The only fault of the deletion above after `from` is replaced with `to`.
fn fault(from: &str, to: &str) -> String {
    assert!(DELETE.contains(from), "{from}");
    let faults = faults(&file(&[&DELETE.replace(from, to)]));
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.into_iter().next().unwrap()
}

fn is_fault(from: &str, to: &str, place: &str, message: &str) {
    let fault = fault(from, to);
    assert!(
        fault.starts_with(&format!("{place}: ")) && fault.contains(message),
        "{fault}"
    );
}

#[test]
fn a_good_file_is_read_with_its_whole_text_as_source() {
    let text = file(&[DELETE]);
    let contract = Contract::parse(&text).unwrap();
    assert_eq!(
        (contract.name.as_str(), &contract.source),
        ("test-1", &text)
    );
    let route = &contract.routes[0];
    assert!(route.template.matches("/a/1/users/2").is_some());
    assert_eq!(route.operation.carriers, ["DELETE", "POST"]);
}

#[test]
fn p13_an_unknown_key_is_refused_in_any_table() {
    is_fault(
        "body =",
        "scoped = 1\nbody =",
        "scoped",
        "unknown key `operation.scoped`; did you mean `scope`?",
    );
    let told = faults(&format!(
        "nam = 1\n{}[[closed]]\npath='/x'\nreason='r'\nwhy=1",
        file(&[DELETE])
    ));
    assert_eq!(
        told,
        [
            "nam: unknown key `nam`; did you mean `name`?",
            "why: unknown key `closed.why`; known here: path, reason"
        ]
    );
    assert!(
        faults(&format!("{}[[opertion]]", file(&[DELETE])))[0]
            .contains("did you mean `operation`?")
    );
}

#[test]
fn the_method_delete_requires_the_effect_delete() {
    let write = DELETE
        .replace("effect = \"delete\"", "effect = \"write\"")
        .replace("body = \"none\"", "body = \"pass\"");
    let told = faults(&file(&[&write]));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("\"users.delete\": ")
            && told[0].contains("so its effect must be delete"),
        "{told:?}"
    );
    assert!(fault("\"delete\"", "\"read\"").contains("its effect must be delete"));
}

#[test]
fn a_deletion_may_use_another_method() {
    let posted = DELETE.replace("method = \"DELETE\"", "method = \"POST\"");
    assert_eq!(
        Contract::parse(&file(&[&posted])).unwrap().routes[0]
            .operation
            .effect,
        Effect::Delete
    );
}

#[test]
fn a_deletion_names_its_users_in_one_way() {
    is_fault(
        "body = \"none\"",
        "body = \"pass\"",
        "\"users.delete\"",
        "its body must be none",
    );
    is_fault(
        "body = \"none\"",
        "body = \"ids\"",
        "\"users.delete\"",
        "its body must be none",
    );
    is_fault(
        "{base}/{user}",
        "{base}",
        "\"users.delete\"",
        "by a body of ids",
    );
    let batch = DELETE.replace("/{user}", "").replace("\"none\"", "\"ids\"");
    assert!(Contract::parse(&file(&[&batch])).is_ok());
}

#[test]
fn a_deletion_needs_the_scope_that_permits_unconditional_ones() {
    is_fault(
        "unconditional_scope = \"users.delete.unconditional\"",
        "",
        "\"users.delete\"",
        "unconditional_scope",
    );
}

#[test]
fn a_get_reads_and_a_read_takes_no_content() {
    let read = |method: &str, effect: &str, body: &str| {
        file(&[&format!(
            "\nname='r'\nmethod='{method}'\npath='{{base}}'\neffect='{effect}'\nif_match='optional'\nbody='{body}'\nscope='s'\n"
        )])
    };
    assert!(Contract::parse(&read("GET", "read", "empty-json")).is_ok());
    assert!(faults(&read("GET", "write", "none"))[0].contains("may be sent twice"));
    assert!(faults(&read("GET", "read", "pass"))[0].contains("none or empty-json"));
    assert!(faults(&read("POST", "write", "ids"))[0].contains("only a deletion"));
}

#[test]
fn words_and_types_are_exact() {
    is_fault(
        "\"DELETE\"\n",
        "\"delete\"\n",
        "\"delete\"",
        "`operation.method` must be one of GET, POST, PUT, PATCH, DELETE",
    );
    is_fault(
        "\"DELETE\"\n",
        "\"HEAD\"\n",
        "\"HEAD\"",
        "`operation.method` must be one of",
    );
    is_fault(
        "\"required\"",
        "true",
        "true",
        "`operation.if_match` must be a string in quotes, and this boolean is not",
    );
    is_fault(
        "\"none\"",
        "\"nothing\"",
        "\"nothing\"",
        "`operation.body` must be one of",
    );
    is_fault(
        "[\"DELETE\", \"POST\"]",
        "\"POST\"",
        "\"POST\"",
        "`operation.carried_by` must be a list of strings",
    );
    assert!(
        faults(&file(&[DELETE]).replace("\"4.0\"", "4.0"))[0]
            .contains("`version` must be a string in quotes, and this float is not")
    );
}

#[test]
fn carriers_are_methods_that_are_never_repeated() {
    for carrier in ["GET", "post", "HEAD", ""] {
        is_fault(
            "\"POST\"",
            &format!("\"{carrier}\""),
            &format!("\"{carrier}\""),
            "in capitals",
        );
    }
    is_fault("\"POST\"", "\"DELETE\"", "\"DELETE\"", "appears twice");
}

#[test]
fn names_and_scopes_have_their_alphabets() {
    for name in ["", "Users", "a b", "a\\u000ab", "a/b", &"a".repeat(65)] {
        assert!(
            fault("\"users.delete\"\nmethod", &format!("\"{name}\"\nmethod"))
                .contains("lower-case"),
            "{name}"
        );
    }
    for scope in ["", "a b", "a\\\"b", "a\\\\b", "\u{e9}", &"s".repeat(129)] {
        assert!(
            fault(
                "scope = \"users.delete\"\n",
                &format!("scope = \"{scope}\"\n")
            )
            .contains("RFC 6749"),
            "{scope}"
        );
    }
}

#[test]
fn a_path_that_no_plain_request_can_have_is_refused() {
    is_fault("{base}/{user}", "{base}/", "\"{base}/\"", "trailing slash");
    is_fault(
        "{base}/{user}",
        "{base}/{id}",
        "\"{base}/{id}\"",
        "may be in braces",
    );
    is_fault(
        "{base}/{user}",
        "/users/{user}",
        "\"users.delete\"",
        "must have {account}",
    );
    is_fault("{base}/{user}", "{base}/..", "\"{base}/..\"", "dot segment");
    is_fault(
        "{base}/{user}",
        "/x{base}/{user}",
        "\"/x{base}/{user}\"",
        "may be in braces",
    );
}

#[test]
fn operations_that_one_request_could_match_are_refused() {
    let other = DELETE.replace("users.delete\"\nm", "users.remove\"\nm");
    assert_eq!(
        faults(&file(&[DELETE, &other])),
        ["\"users.remove\": `users.remove` and `users.delete` claim the same path and method"]
    );
    let literal = other.replace("{base}/{user}", "/a/{account}/{user}/me");
    assert!(faults(&file(&[DELETE, &literal]))[0].contains("claim the same"));
    assert!(faults(&file(&[DELETE, DELETE]))[0].contains("appears twice"));
    let elsewhere = other.replace("{base}/{user}", "/b/{account}/{user}");
    assert!(Contract::parse(&file(&[DELETE, &elsewhere])).is_ok());
}

#[test]
fn a_closed_path_must_not_hide_an_operation() {
    let closing = |path: &str| {
        format!(
            "{}[[closed]]\npath = \"{path}\"\nreason = \"no\"\n",
            file(&[DELETE])
        )
    };
    assert!(Contract::parse(&closing("{base}/query")).is_ok());
    assert!(faults(&closing("{base}/{user}"))[0].contains("could never be reached"));
    assert!(faults(&closing("query"))[0].contains("must begin with a slash"));
}

#[test]
fn an_operation_has_a_reason_exactly_if_it_is_off() {
    let with = |more: &str| file(&[&format!("{DELETE}{more}\n")]);
    let off = Contract::parse(&with("on = false\nreason = \"no\"")).unwrap();
    assert_eq!(off.routes[0].off.as_deref(), Some("no"));
    assert!(
        Contract::parse(&with("on = true")).unwrap().routes[0]
            .off
            .is_none()
    );
    assert!(faults(&with("on = false"))[0].contains("needs a `reason`"));
    assert!(faults(&with("reason = \"no\""))[0].contains("on = false"));
    assert!(faults(&with("on = false\nreason = \"a\\nb\""))[0].contains("one line"));
    assert!(faults(&with("on = \"no\""))[0].contains("true or false"));
}

#[test]
fn all_faults_are_reported_in_order_of_position() {
    let text = file(&["\nname = \"X\"\nmethod = \"DELET\"\npath = \"x\"\n"]);
    let told = faults(&text);
    let wanted = [
        "`operation.effect` is missing",
        "`operation.name` must",
        "`operation.method` must be one of",
        "not a valid path for a contract",
    ];
    for message in wanted.iter().chain(&[
        "`operation.if_match` is missing",
        "`operation.body` is missing",
        "`operation.scope` is missing",
    ]) {
        assert_eq!(
            told.iter().filter(|fault| fault.contains(message)).count(),
            1,
            "{message}: {told:?}"
        );
    }
    let places: Vec<usize> = Contract::parse(&text)
        .unwrap_err()
        .iter()
        .map(|problem| problem.span.start)
        .collect();
    assert!(places.is_sorted());
}

#[test]
fn an_empty_file_lists_the_required_keys() {
    let told = faults("");
    assert!(told.iter().any(|fault| fault.contains("`name` is missing")));
    assert!(
        told.iter()
            .any(|fault| fault.contains("at least one `[[operation]]`"))
    );
}

#[test]
fn syntax_errors_are_reported_and_nothing_after_them() {
    let text = "name = \nversion = 4.0.0\n";
    let told = faults(text);
    assert!(
        told.len() >= 2 && !told.iter().any(|fault| fault.contains("is missing")),
        "{told:?}"
    );
}

#[test]
fn a_missing_key_is_reported_at_its_table() {
    let text = file(&[DELETE, "\nname = \"other\"\n"]);
    let problems = Contract::parse(&text).unwrap_err();
    let missing = problems
        .iter()
        .find(|problem| problem.message == "`operation.effect` is missing")
        .unwrap();
    assert_eq!(
        missing.span,
        text.rfind("[[operation]]").map(|at| at..at + 13).unwrap()
    );
}

#[test]
fn the_number_of_entries_in_a_file_is_bounded() {
    let closed = "[[closed]]\npath='/x'\nreason='r'\n".repeat(MAX_ENTRIES + 1);
    assert!(faults(&format!("{}{closed}", file(&[DELETE])))[0].contains("at most 256"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_file_is_read_or_refused_at_a_position_in_it(from in 0usize..1500, length in 0usize..40) {
        let text = include_str!("../../../config/contracts/liveperson-users-4.0.toml");
        let from = text.len() * from / 1500;
        let to = (from + length).min(text.len());
        let text = format!("{}{}", &text[..from], &text[to..]);
        if let Err(problems) = Contract::parse(&text) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(text.get(problem.span.clone()).is_some() && !problem.message.is_empty());
            }
        }
    }
}
