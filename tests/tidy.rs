//! Rules for the source tree as data: module dependencies, the direction of imports, and pages that
//! must match the code. ARCHITECTURE.md and CONTRIBUTING.md explain them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod circles;
mod dependencies;
mod imports;
mod modules;
mod refusals;
mod rooms;
mod tree;

use tree::{File, is_comment, rust, sources};

/// Markers of unfinished work in Rust files, each in two halves, so that this file does not match.
const UNFINISHED: &[(&str, &str)] = &[
    ("unimple", "mented!("),
    ("to", "do!("),
    ("FIX", "ME"),
    ("XX", "X "),
    ("#[ig", "nore"),
];

#[test]
fn every_source_file_begins_with_its_purpose() {
    assert_none("open the file with `//!` and what it is for", |found| {
        for file in sources() {
            if !file.text.starts_with("//! ") {
                found.push(file.path.clone());
            }
        }
    });
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
fn the_readme_names_the_oldest_rust_and_is_short() {
    let manifest = tree::read("Cargo.toml");
    let oldest = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"');
    let readme = tree::read("README.md");
    let words = format!("Rust {oldest} or newer");
    assert!(readme.contains(&words), "README.md: {words}");
    assert!(readme.lines().count() <= 150, "README.md: 150 lines");
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
fn every_dependency_has_a_reason() {
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
fn each_part_uses_only_the_parts_that_it_may() {
    assert_none(
        "ARCHITECTURE.md says who may know whom: hand it in from outside, or move the code",
        |found| {
            for file in sources() {
                found.extend(dependencies::wrong_of(file));
            }
        },
    );
}

/// Fails with all findings and the advice.
fn assert_none(advice: &str, find: impl FnOnce(&mut Vec<String>)) {
    let mut found = Vec::new();
    find(&mut found);
    assert!(found.is_empty(), "{advice}:\n  {}", found.join("\n  "));
}

#[test]
fn the_rules_find_violations() {
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
}
