//! No two files of `src` depend on each other, directly or through other files.

use std::collections::{BTreeMap, BTreeSet};

use super::assert_none;
use super::imports::{Arrows, arrows, of_the_tree};

#[test]
fn no_files_of_src_import_each_other_in_a_circle() {
    assert_none(
        "move the item to the file where it belongs, so that one arrow is gone",
        |found| {
            for circle in circles(of_the_tree()) {
                found.push(shown(&circle, of_the_tree()));
            }
        },
    );
}

/// The sets of files in which each file reaches every other.
fn circles(arrows: &Arrows) -> Vec<BTreeSet<&str>> {
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in arrows.keys() {
        uses.entry(from).or_default().push(to);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = uses
        .keys()
        .map(|from| (*from, reach(&uses, from)))
        .collect();
    let circle = |file: &str| -> BTreeSet<&str> {
        let others = reached[file].iter().copied();
        others
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(file)))
            .collect()
    };
    let circles: BTreeSet<_> = reached.keys().map(|file| circle(file)).collect();
    circles.into_iter().filter(|one| one.len() > 1).collect()
}

fn reach<'a>(uses: &BTreeMap<&'a str, Vec<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(file) = waiting.pop() {
        for next in uses.get(file).into_iter().flatten() {
            if reached.insert(*next) {
                waiting.push(next);
            }
        }
    }
    reached
}

/// The files of a circle, then its imports, one per line.
fn shown(circle: &BTreeSet<&str>, arrows: &Arrows) -> String {
    let files: Vec<&str> = circle.iter().copied().collect();
    let mut text = format!("{files:?}");
    for ((from, to), items) in arrows {
        if circle.contains(&**from) && circle.contains(&**to) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            text += &format!("\n    {from} -> {to}: {}", items.join(", "));
        }
    }
    text
}

/// The circles of a small crate with these files and a fixed `src/lib.rs`.
fn planted(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let root = "mod a; mod b; mod page;";
    let files = [&[("src/lib.rs", root)], files].concat();
    let arrows = arrows(&files);
    let circles = circles(&arrows);
    let owned = |circle: BTreeSet<&str>| circle.into_iter().map(str::to_owned).collect();
    circles.into_iter().map(owned).collect()
}

/// Asserts that the files `a` and `b` make a circle.
fn assert_circle(a: &str, b: &str) {
    let found = planted(&[("src/a.rs", a), ("src/b.rs", b)]);
    assert_eq!(found, [["src/a.rs", "src/b.rs"]], "a: {a}\nb: {b}");
}

const B_USES_A: &str =
    "use crate::a::One; pub struct Two; impl Two { pub fn new() {} } pub fn two() {}";

#[test]
fn a_circle_by_use_or_by_path_is_found() {
    for a in [
        "use crate::b::Two; pub struct One;",
        "use crate::{b::{self, Two as _}}; pub struct One;",
        "use crate::b; pub struct One; fn f() { b::two() }",
        "pub struct One; fn f() { crate::b::Two::new() }",
        "pub struct One; fn f() { super::b::two() }",
        "pub struct One; fn f(_: &[Option<crate::b::Two>]) {}",
        "pub struct One; mod inner { fn f() { super::super::b::two() } }",
        "pub struct One; fn f() { println!(\"{:?}\", vec![crate::b::two()]) }",
        "#[derive(Debug)] #[arg(value_parser = crate::b::two)] pub struct One;",
        "#[cfg(feature = \"demo\")] use crate::b::Two; pub struct One;",
        "#[cfg(not(test))] use crate::b::Two; pub struct One;",
        "#[cfg(any(test, unix))] use crate::b::Two; pub struct One;",
    ] {
        assert_circle(a, B_USES_A);
    }
}

#[test]
fn a_circle_by_glob_is_found() {
    assert_circle("use crate::b::*; pub struct One;", B_USES_A);
    let kinds = "pub enum Kind { A(crate::a::One) }";
    assert_circle("use crate::b::Kind::*; pub struct One;", kinds);
    let page = [
        ("src/page/mod.rs", "pub use crate::b::*;"),
        ("src/a.rs", "pub struct One; fn f() { crate::page::two() }"),
        ("src/b.rs", B_USES_A),
    ];
    assert_eq!(planted(&page), [["src/a.rs", "src/b.rs"]]);
}

#[test]
fn a_circle_by_alias_is_found() {
    assert_circle(
        "use crate::b as other; pub struct One; fn f() { other::two() }",
        B_USES_A,
    );
    assert_circle("use crate::b::Two as Other; pub struct One;", B_USES_A);
    let twice = "use crate as all; use all::b as other; pub struct One; fn f() { other::two() }";
    assert_circle(twice, B_USES_A);
}

#[test]
fn a_circle_by_re_export_is_found_in_the_defining_files() {
    let page = [
        (
            "src/page/mod.rs",
            "mod inner; pub(crate) use inner::Two as Other;",
        ),
        ("src/page/inner.rs", "pub use deep::Two; mod deep;"),
        ("src/page/inner/deep.rs", "pub struct Two(crate::a::One);"),
        ("src/a.rs", "use crate::page::Other; pub struct One;"),
    ];
    assert_eq!(planted(&page), [["src/a.rs", "src/page/inner/deep.rs"]]);
}

#[test]
fn a_circle_by_an_import_inside_a_function_is_found() {
    assert_circle("pub struct One; fn f() { use crate::b::Two; }", B_USES_A);
    let later = "pub struct One; fn f() { if true { use crate::b; loop { b::two() } } }";
    assert_circle(later, B_USES_A);
}

#[test]
fn a_circle_around_three_files_is_found() {
    let files = [
        ("src/a.rs", "use crate::b::Two; pub struct One;"),
        ("src/b.rs", "pub struct Two(crate::page::Three);"),
        (
            "src/page/mod.rs",
            "mod inner; pub struct Three(crate::a::One);",
        ),
        ("src/page/inner.rs", "use super::Three;"),
    ];
    assert_eq!(
        planted(&files),
        [["src/a.rs", "src/b.rs", "src/page/mod.rs"]]
    );
}

#[test]
fn a_module_page_may_use_the_files_below_it() {
    let files = [
        (
            "src/page/mod.rs",
            "mod inner; use inner::Two; pub struct One(Two);",
        ),
        ("src/page/inner.rs", "pub struct Two(super::One);"),
        (
            "src/a.rs",
            "mod inner; fn f() { self::inner::Two::new() } pub struct One;",
        ),
        ("src/a/inner.rs", "use crate::a::One; pub struct Two(One);"),
    ];
    assert_eq!(planted(&files), Vec::<Vec<String>>::new());
}

#[test]
fn a_re_export_alone_is_not_a_use() {
    let (page, inner) = ("pub use crate::b::Two; mod inner; pub struct One;", "");
    let files = |page| {
        [
            ("src/page/mod.rs", page),
            ("src/page/inner.rs", inner),
            ("src/b.rs", "pub struct Two(crate::page::One);"),
        ]
    };
    assert_eq!(planted(&files(page)), Vec::<Vec<String>>::new());
    let used = "pub use crate::b::Two; mod inner; pub struct One(Box<Two>);";
    assert_eq!(planted(&files(used)), [["src/b.rs", "src/page/mod.rs"]]);
}

#[test]
fn test_code_makes_no_circle() {
    for a in [
        "pub struct One; #[cfg(test)] mod tests { use crate::b::Two; }",
        "pub struct One; #[cfg(test)] mod tests; ",
        "pub struct One; #[cfg(test)] use crate::b::Two;",
        "pub struct One; #[cfg(all(test, unix))] fn f() { crate::b::two() }",
        "pub struct One { #[cfg(test)] two: crate::b::Two }",
        "pub struct One; impl One { #[cfg(test)] fn f() { crate::b::two() } }",
        "pub struct One; fn f() { #[cfg(test)] if crate::b::two() {} }",
        "pub struct One; fn f() { #[cfg(test)] let two = crate::b::two(); }",
        "//! As `crate::b::Two` says.\npub struct One; const TEXT: &str = \"crate::b::Two\";",
    ] {
        let tests = ("src/a/tests.rs", "use crate::b::Two;");
        let found = planted(&[("src/a.rs", a), ("src/b.rs", B_USES_A), tests]);
        assert_eq!(found, Vec::<Vec<String>>::new(), "{a}");
    }
}
