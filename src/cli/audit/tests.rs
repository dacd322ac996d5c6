//! The audit commands on real folders.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Parser;
use serde_json::Value;

use super::*;
use crate::audit::entry::Kind;
use crate::audit::log::key::{Key, test_key};
use crate::audit::log::merkle::leaf;
use crate::audit::read::query::tests::intent;
use crate::audit::read::verify::sample::{bytes, sound, tamper, write};
use crate::audit::{Receipt, test_folder};

mod export;
mod fields;
mod prove;
mod published;
mod screens;
mod unresolved;
mod verify;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs `lychgate audit LINE --dir DIR`; returns the exit code and standard output without colors.
fn audit(directory: &Path, line: &[&str]) -> (Result<Exit, Exit>, String) {
    let directory = directory.to_str().unwrap();
    let words = ["audit"].into_iter().chain(line.iter().copied());
    let words = words.chain(["--dir", directory]);
    let arguments = Line::try_parse_from(words).unwrap().arguments;
    let mut out = Vec::new();
    let exit = run(&mut out, arguments).map_err(|stop| match stop {
        Stop::Message(exit, _) | Stop::Rendered(exit, _) => exit,
        Stop::Output(error) => panic!("{error}"),
    });
    let text = String::from_utf8(out).unwrap();
    (exit, anstream::adapter::strip_str(&text).to_string())
}

/// Runs a command on the sample folder after `change`.
fn sample(change: impl FnOnce(&Path), line: &[&str]) -> (Result<Exit, Exit>, String) {
    let folder = test_folder("cli");
    write(folder.path(), &sound());
    change(folder.path());
    audit(folder.path(), line)
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

mod list {
    use super::*;

    fn ids(line: &[&str]) -> Vec<String> {
        let (exit, text) = sample(|_| {}, line);
        assert_eq!(exit, Ok(Exit::Fine));
        let id = |object: &Value| object["request_id"].as_str().unwrap().to_owned();
        objects(&text).iter().map(id).collect()
    }

    #[test]
    fn without_a_limit_list_shows_all_deletions_oldest_first() {
        assert_eq!(ids(&["list", "--json"]), ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_limit_shows_the_newest_deletions_oldest_first() {
        assert_eq!(ids(&["list", "--json", "--limit", "2"]), ["c", "d"]);
        assert_eq!(ids(&["list", "--json", "--limit", "9"]).len(), 4);
    }

    #[test]
    fn a_limit_counts_only_matching_deletions() {
        let line = ["list", "--json", "--limit", "1", "--outcome", "deleted"];
        assert_eq!(ids(&line), ["a"]);
        assert_eq!(ids(&["list", "--json", "--outcome", "open"]), ["d"]);
        assert_eq!(ids(&["list", "--json", "--code", "scope-missing"]), ["c"]);
    }

    #[test]
    fn list_prints_an_aligned_table() {
        let (_, text) = sample(|_| {}, &["list"]);
        let lines: Vec<_> = text.lines().collect();
        let column = lines[0].find("RESULT").unwrap();
        let results: Vec<_> = lines[1..].iter().map(|line| &line[column..]).collect();
        let wanted = ["deleted", "not_found", "refused scope-missing", "open"];
        assert_eq!(results, wanted);
        assert!(lines[1].contains("2026-11-24T12:00:01Z"), "{text}");
    }

    #[test]
    fn no_text_from_outside_reaches_a_terminal_raw() {
        let mut hostile = intent("a", &["1"]);
        hostile.caller.subject = "\u{1b}]0;owned\u{7}\u{202e}eve\n9  forged".into();
        let entries = [bytes(0, Kind::Intent(hostile))];
        for line in [
            &["list"][..],
            &["list", "--json"],
            &["show", "0"],
            &["show", "0", "--json"],
        ] {
            let (_, text) = sample(|path| write(path, &entries), line);
            let raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!text.contains(raw), "{line:?}: {text}");
            assert!(
                !text.lines().any(|line| line.starts_with('9')),
                "{line:?}: {text}"
            );
        }
    }

    #[test]
    fn deletions_before_damage_are_listed_with_exit_code_1() {
        let damage = |path: &Path| tamper(path, |segment| segment[5 * 4096 + 200] ^= 1);
        let (exit, text) = sample(damage, &["list", "--json"]);
        assert_eq!(exit, Ok(Exit::No));
        assert_eq!(objects(&text).len(), 3);
    }

    #[test]
    fn a_closed_pipe_ends_list_at_once() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let folder = test_folder("cli");
        write(folder.path(), &sound());
        let directory = folder.path().to_str().unwrap();
        let line = ["audit", "list", "--json", "--dir", directory];
        let arguments = Line::try_parse_from(line).unwrap().arguments;
        assert!(matches!(run(&mut Gone, arguments), Err(Stop::Output(_))));
    }

    #[test]
    fn a_missing_trail_cannot_be_listed() {
        let (exit, text) = audit(Path::new("/nowhere/audit"), &["list"]);
        assert_eq!(exit, Err(Exit::Io));
        assert!(!text.contains("deleted"));
    }
}

mod show {
    use super::*;

    fn indexes(what: &str) -> Vec<u64> {
        let (exit, text) = sample(|_| {}, &["show", what, "--json"]);
        assert_eq!(exit, Ok(Exit::Fine), "{what}");
        objects(&text)
            .iter()
            .map(|o| o["index"].as_u64().unwrap())
            .collect()
    }

    #[test]
    fn an_index_a_receipt_and_a_request_id_show_the_same() {
        assert_eq!(indexes("1"), [1, 5]);
        assert_eq!(indexes("5"), [1, 5]);
        assert_eq!(indexes("lychgate.test/log/1"), [1, 5]);
        assert_eq!(indexes("a"), [1, 5]);
    }

    #[test]
    fn refused_open_and_other_entries_are_shown_alone() {
        assert_eq!(indexes("4"), [4]);
        assert_eq!(indexes("d"), [6]);
        assert_eq!(indexes("0"), [0]);
    }

    #[test]
    fn p5_both_leaf_hashes_are_shown() {
        let (_, text) = sample(|_| {}, &["show", "1"]);
        for entry in [&sound()[1], &sound()[5]] {
            assert!(text.contains(&STANDARD.encode(leaf(entry))), "{text}");
        }
        assert!(text.contains("entry 5: outcome"), "{text}");
    }

    #[test]
    fn a_missing_entry_exits_with_1() {
        for what in [
            "99",
            "nobody",
            "lychgate.test/log/99",
            "lychgate.test/log/4",
            "other/1",
        ] {
            assert_eq!(sample(|_| {}, &["show", what]).0, Err(Exit::No), "{what}");
        }
    }
}

mod keygen {
    use super::*;

    fn keygen(path: &Path) -> (Result<Exit, Exit>, String) {
        let out = path.to_str().unwrap();
        let line = ["audit", "keygen", "--origin", "a.example/1", "--out", out];
        let arguments = Line::try_parse_from(line).unwrap().arguments;
        let mut written = Vec::new();
        let exit = run(&mut written, arguments).map_err(|stop| match stop {
            Stop::Message(exit, _) => exit,
            other => panic!("{other:?}"),
        });
        (exit, String::from_utf8(written).unwrap())
    }

    #[test]
    fn the_verifier_key_of_the_new_key_is_printed() {
        let folder = test_folder("keygen");
        let path = folder.path().join("audit.key");
        let (exit, text) = keygen(&path);
        assert_eq!(exit, Ok(Exit::Fine));
        let key = Key::read(&path).unwrap();
        assert_eq!(text, format!("{}\n", key.verifier()));
        assert!(text.starts_with("a.example/1+"));
    }

    #[test]
    fn an_existing_key_is_never_overwritten() {
        let folder = test_folder("keygen");
        let path = folder.path().join("audit.key");
        std::fs::write(&path, "precious").unwrap();
        assert_eq!(keygen(&path), (Err(Exit::Io), String::new()));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
