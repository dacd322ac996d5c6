//! The tree's own rules, as data: who may know whom, sizes, tests, pages that follow the code, words
//! that must not stand here. ARCHITECTURE.md and CONTRIBUTING.md say why.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod dependencies;
mod tree;

use lychgate::refusal::Code;
use tree::{File, is_comment, rust, sources, tracked};

/// No file is longer, its tests included.
const MOST_LINES: usize = 400;
/// Half the files of `src` are no longer than this.
const MOST_MEDIAN_LINES: usize = 160;
/// Tests and `.case` files for each 1,000 lines of `src`.
const LEAST_TESTS: usize = 25;

/// What must not stand in any file, with the reason. Written in two halves, or this file would be found.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/wor", "k/", "a path of one machine"),
    ("/tmp", "/w/", "a path of one machine"),
    ("/ho", "me/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("assis", "tant", "no concern of this program"),
    ("anth", "ropic", "no concern of this program"),
    ("clau", "de", "no concern of this program"),
    ("cha", "tbot", "no concern of this program"),
    ("language ", "model", "no concern of this program"),
];

/// What marks unfinished work in Rust files; halves as above.
const UNFINISHED: &[(&str, &str)] = &[
    ("unimple", "mented!("),
    ("to", "do!("),
    ("FIX", "ME"),
    ("XX", "X "),
    ("#[ig", "nore"),
];

#[test]
fn every_source_file_opens_with_its_purpose() {
    assert_none("open the file with `//!` and what it is for", |found| {
        for file in sources() {
            if !file.text.starts_with("//! ") {
                found.push(file.path.clone());
            }
        }
    });
}

#[test]
fn no_file_is_longer_than_400_lines() {
    assert_none("split the file: one file says one thing", |found| {
        for file in rust() {
            let lines = file.text.lines().count();
            if lines > MOST_LINES {
                found.push(format!("{}: {lines} lines", file.path));
            }
        }
    });
}

#[test]
fn the_median_file_is_at_most_160_lines_long() {
    let mut lengths: Vec<usize> = sources().iter().map(|f| f.text.lines().count()).collect();
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    assert!(
        median <= MOST_MEDIAN_LINES,
        "the median file of src has {median} lines, more than {MOST_MEDIAN_LINES}: split the longest"
    );
}

#[test]
fn there_are_25_tests_per_1000_lines() {
    let lines: usize = sources().iter().map(|file| file.text.lines().count()).sum();
    let marked = rust()
        .iter()
        .map(|file| count_tests(&file.text))
        .sum::<usize>();
    let cases = tracked()
        .iter()
        .filter(|file| file.path.starts_with("tests/cases/") && file.path.ends_with(".case"))
        .count();
    let (tests, wanted) = (marked + cases, lines * LEAST_TESTS / 1_000);
    assert!(
        tests >= wanted,
        "{lines} lines of src want {wanted} tests, and there are {tests} ({marked} tests, {cases} cases)"
    );
}

fn count_tests(text: &str) -> usize {
    text.lines()
        .map(str::trim)
        .filter(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
        .count()
}

#[test]
fn the_stack_table_of_the_architecture_page_is_the_stack() {
    let stack = tree::read("src/stack.rs");
    let built: Vec<&str> = stack
        .lines()
        .filter(|line| !is_comment(line))
        .filter_map(|line| line.trim().strip_prefix(".layer(layers::"))
        .filter_map(|rest| rest.split("::").next())
        .collect();
    let page = tree::read("ARCHITECTURE.md");
    let section = page.split("\n## The stack\n").nth(1).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let told: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert!(
        !built.is_empty(),
        "no `.layer(layers::NAME::...` in src/stack.rs"
    );
    assert_eq!(
        told, built,
        "left: the table under \"The stack\" in ARCHITECTURE.md; right: the layers of src/stack.rs"
    );
}

#[test]
fn p11_every_refusal_has_its_paragraph_in_order() {
    let page = tree::read("docs/refusals.md");
    let told: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let wanted: Vec<String> = Code::ALL
        .iter()
        .map(|code| format!("`{}` ({})", code.as_str(), code.status_u16()))
        .collect();
    assert_eq!(told, wanted, "left: docs/refusals.md; right: Code::ALL");
}

#[test]
fn no_file_names_a_path_of_one_machine_or_what_is_none_of_its_business() {
    assert_none("say it without these words", |found| {
        for file in tracked() {
            let text = file.text.to_ascii_lowercase();
            for (one, two, reason) in FORBIDDEN {
                let word = format!("{one}{two}");
                for (number, _) in text.lines().enumerate().filter(|(_, l)| l.contains(&word)) {
                    found.push(format!("{}:{}: {word} ({reason})", file.path, number + 1));
                }
            }
        }
    });
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none("finish it, or take it out", |found| {
        for file in rust() {
            for (one, two) in UNFINISHED {
                let word = format!("{one}{two}");
                for (number, _) in file
                    .text
                    .lines()
                    .enumerate()
                    .filter(|(_, l)| l.contains(&word))
                {
                    found.push(format!("{}:{}: {word}", file.path, number + 1));
                }
            }
        }
    });
}

#[test]
fn every_dependency_says_why_it_is_there() {
    assert_none("say why behind a # on its line", |found| {
        let manifest = tree::read("Cargo.toml");
        let mut in_dependencies = false;
        let mut above = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies
                && line.contains('=')
                && !line.starts_with('#')
                && !line.contains(" # ")
                && !above.starts_with('#')
            {
                found.push(format!("Cargo.toml: {line}"));
            }
            above = line;
        }
    });
}

#[test]
fn only_who_may_know_whom_does() {
    assert_none(
        "ARCHITECTURE.md says who may know whom: hand it in from outside, or move the code",
        |found| {
            for file in sources() {
                found.extend(dependencies::wrong_of(file));
            }
        },
    );
}

/// Fails with everything found and with what to do about it.
fn assert_none(advice: &str, find: impl FnOnce(&mut Vec<String>)) {
    let mut found = Vec::new();
    find(&mut found);
    assert!(found.is_empty(), "{advice}:\n  {}", found.join("\n  "));
}

#[test]
fn the_rules_find_what_they_are_for() {
    let file = |path: &str, text: &str| File {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let wrong = |path, text| dependencies::wrong_of(&file(path, text)).len();
    assert_eq!(
        wrong("src/audit/writer/mod.rs", "use crate::config::Config;"),
        1
    );
    assert_eq!(
        wrong(
            "src/audit/writer/mod.rs",
            "use crate::clock::Clock;\nuse crate::audit::X;"
        ),
        0
    );
    assert_eq!(
        wrong("src/audit/writer/mod.rs", "let x = http::StatusCode::OK;"),
        1
    );
    assert_eq!(
        wrong(
            "src/contract/a.rs",
            "use crate::{\n    clock::{Clock, Time},\n    tls,\n};"
        ),
        2
    );
    assert_eq!(
        wrong("src/outbound/a.rs", "use crate::layers::record::Cleared;"),
        0
    );
    assert_eq!(
        wrong(
            "src/outbound/a.rs",
            "use crate::layers::conform::Conforming;"
        ),
        1
    );
    assert_eq!(
        wrong(
            "src/token.rs",
            "// as crate::stack says\nfn f() -> crate::stack::S {}"
        ),
        1
    );
    assert_eq!(wrong("src/nobody/knows.rs", ""), 1);
    assert_eq!(
        count_tests("#[test]\n#[tokio::test(flavor = \"x\")]\n// #[test]\n"),
        2
    );
}
