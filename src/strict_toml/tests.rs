//! The problems that the reader finds in short texts.

use super::*;

/// The problems of a text as `TEXT AT THE POSITION: MESSAGE; HINT`.
fn problems(text: &str, read: impl FnOnce(&mut Table<'_>)) -> Vec<String> {
    let tree = DeTable::parse(text).unwrap();
    let reading = Reading::default();
    let mut table = Table::root(tree.get_ref(), &reading);
    read(&mut table);
    table.end();
    let problems = reading.problems.take().into_iter();
    let show = |p: Problem| format!("{}: {}; {}", &text[p.span], p.message, p.hint);
    problems.map(show).collect()
}

#[test]
fn an_unknown_key_is_shown_with_the_nearest_known_one() {
    let told = problems("scoope = 'x'\nzzz = 1", |table| {
        table.text("scope");
    });
    let wanted = [
        "scoope: unknown key `scoope`; did you mean `scope`?",
        "zzz: unknown key `zzz`; known here: scope",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn a_value_of_another_type_is_shown_at_its_place() {
    let told = problems("a = 4.0\nb = 'yes'\nc = ['x', 1]\nd = {}", |table| {
        assert!(table.text("a").is_none());
        assert!(table.flag("b", true));
        assert_eq!(table.list("c").unwrap().len(), 1);
        assert!(table.tables("d").is_empty());
    });
    let wanted = [
        "4.0: `a` must be a string in quotes, and this float is not",
        "'yes': `b` must be true or false, and this string is not",
        "1: `c` must be a list of strings, such as [\"a\", \"b\"], and this integer is not",
        "{}: `d` must be a list of tables, each headed [[d]], and this table is not",
    ];
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{told}");
    }
    assert_eq!(told.len(), wanted.len());
}

#[test]
fn a_word_must_be_a_known_one() {
    let told = problems("effect = 'raed'\nbody = 'x'", |table| {
        let effects = [("read", 1), ("write", 2)];
        assert_eq!(table.word("effect", &effects), None);
        assert_eq!(table.word("body", &effects), None);
    });
    let wanted = [
        "'raed': `effect` must be one of read, write; did you mean `read`?",
        "'x': `body` must be one of read, write; write one of them in quotes",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn an_absent_key_is_a_problem_only_if_it_is_required() {
    let told = problems("", |table| {
        assert!(table.text("a").is_none() && table.list("b").is_none());
        assert!(table.flag("c", true) && table.tables("d").is_empty());
        table.require("e", "add it");
    });
    assert_eq!(told, [": `e` is missing; add it"]);
}

#[test]
fn a_long_name_is_cut_and_escaped() {
    assert_eq!(quoted("a\u{1b}b"), "a\\u{1b}b");
    assert_eq!(quoted(&"x".repeat(100)).len(), MAX_QUOTED + 3);
}
