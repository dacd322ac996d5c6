//! The modules of `src/audit` as layers, and the layers below that each may use. ARCHITECTURE.md
//! describes them.

use std::collections::BTreeSet;

use super::assert_none;
use super::imports::{Arrows, arrows, of_the_tree};

/// The rooms from top to bottom, each with the first room that it may use; it may also use all
/// rooms below that one.
const ROOMS: &[(&str, Option<&str>)] = &[
    ("trail", Some("writer")),
    ("writer", Some("publish")),
    ("publish", Some("integrity")),
    ("integrity", Some("read")),
    ("read", Some("journal")),
    ("journal", Some("status")),
    ("status", Some("entry")),
    ("entry", Some("log")),
    ("log", None),
    ("disk", None),
];

#[test]
fn the_rooms_of_audit_use_only_the_rooms_below() {
    assert_none(
        "hand it in from above, or move the item to the lowest room that uses it",
        |found| {
            for (arrow, items) in wrong(of_the_tree()) {
                found.push(format!("{arrow}: {items}"));
            }
        },
    );
}

/// Every import that does not point down, and every file outside the rooms.
fn wrong(arrows: &Arrows) -> Vec<(String, String)> {
    let mut wrong = Vec::new();
    for ((from, to), items) in arrows {
        let (Some(user), Some(used)) = (room(from), room(to)) else {
            continue;
        };
        if !may_use(user, used) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            wrong.push((format!("{from} -> {to}"), items.join(", ")));
        }
    }
    let files: BTreeSet<&String> = arrows.keys().flat_map(|(from, to)| [from, to]).collect();
    for file in files {
        if room(file).is_some_and(|room| place(room).is_none()) {
            wrong.push((file.clone(), "is in no room of the list".to_owned()));
        }
    }
    wrong
}

/// The room of a file of `src/audit`: its folder, or the file itself.
fn room(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/audit/")?;
    let first = inner.split('/').next()?.trim_end_matches(".rs");
    Some(if first == "mod" { "trail" } else { first })
}

fn place(room: &str) -> Option<usize> {
    ROOMS.iter().position(|(name, _)| *name == room)
}

fn may_use(user: &str, used: &str) -> bool {
    let first = place(user).and_then(|at| ROOMS[at].1).and_then(place);
    let below = place(used)
        .zip(first)
        .is_some_and(|(used, first)| used >= first);
    // A file outside the rooms is reported once, not with each of its imports.
    user == used || below || place(user).is_none() || place(used).is_none()
}

/// The wrong imports of a small crate with these modules of `src/audit`.
fn planted(files: &[(&str, &str)]) -> Vec<String> {
    let rooms: BTreeSet<&str> = files.iter().filter_map(|(path, _)| room(path)).collect();
    let declare = |room: &&str| format!("pub mod {room};");
    let page: String = rooms.iter().map(declare).collect();
    let fixed = [
        ("src/lib.rs", "pub mod audit;"),
        ("src/audit/mod.rs", &page),
    ];
    let wrong = wrong(&arrows(&[&fixed, files].concat()));
    wrong.into_iter().map(|(arrow, _)| arrow).collect()
}

#[test]
fn an_arrow_between_rooms_that_points_up_is_found() {
    let files = [
        ("src/audit/log.rs", "pub struct Tree;"),
        ("src/audit/disk/mod.rs", "mod real; pub struct Disk;"),
        ("src/audit/disk/real.rs", "use crate::audit::log::Tree;"),
        (
            "src/audit/read.rs",
            "pub struct Reader(super::journal::Batch);",
        ),
        (
            "src/audit/journal/mod.rs",
            "mod batch; pub use batch::Batch; use super::disk;",
        ),
        (
            "src/audit/journal/batch.rs",
            "pub struct Batch(crate::audit::disk::Disk); fn f() { use crate::audit::read as up; up::Reader; }",
        ),
    ];
    let found = planted(&files);
    assert_eq!(
        found,
        [
            "src/audit/disk/real.rs -> src/audit/log.rs",
            "src/audit/journal/batch.rs -> src/audit/read.rs",
        ]
    );
}

#[test]
fn a_file_of_audit_outside_the_rooms_is_found() {
    let files = [
        ("src/audit/log.rs", "pub struct Tree;"),
        ("src/audit/attic.rs", "use super::log::Tree;"),
    ];
    assert_eq!(planted(&files), ["src/audit/attic.rs"]);
}
