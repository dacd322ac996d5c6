//! The audit commands on folders with tiles and a checkpoint.

use super::*;
use crate::audit::read::testing::publish;

/// Runs a command on the sample with a checkpoint over its first `count` entries.
fn under(count: usize, change: impl FnOnce(&Path), line: &[&str]) -> (Result<Exit, Exit>, String) {
    let published = |path: &Path| {
        publish(path, &sound()[..count]);
        change(path);
    };
    sample(published, line)
}

#[test]
fn list_is_the_same_for_entries_in_tiles_and_journal() {
    let plain = sample(|_| {}, &["list", "--json"]);
    for count in 1..=7 {
        for limit in [&[][..], &["--limit", "9"]] {
            let line = [&["list", "--json"], limit].concat();
            assert_eq!(under(count, |_| {}, &line), plain, "{count}");
        }
    }
}

#[test]
fn p4_an_empty_list_never_hides_damage() {
    let line = ["list", "--json", "--user", "nobody"];
    assert_eq!(under(6, |_| {}, &line), (Ok(Exit::Fine), String::new()));
    for damaged in ["tile/entries/000.p/6", "tile/0/000.p/6", "checkpoint"] {
        let damage = |path: &Path| {
            let path = path.join(damaged);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[30] ^= 1;
            std::fs::write(path, bytes).unwrap();
        };
        let exit = |ended: (Result<Exit, Exit>, String)| ended.0.unwrap_or_else(|exit| exit);
        assert_eq!(exit(under(6, damage, &line)), Exit::No, "{damaged}");
        let remove = |path: &Path| std::fs::remove_file(path.join(damaged)).unwrap();
        if damaged != "checkpoint" {
            assert_eq!(exit(under(6, remove, &line)), Exit::No, "{damaged}");
        }
    }
}

#[test]
fn p4_an_unreadable_file_exits_with_74() {
    let replaced = |by: &dyn Fn(&Path)| {
        let replace = |path: &Path| {
            let bundle = path.join("tile/entries/000.p/6");
            std::fs::remove_file(&bundle).unwrap();
            by(&bundle);
        };
        under(6, replace, &["list"]).0
    };
    // Opening a socket as a file fails for every user; a folder counts as a missing bundle.
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert_eq!(replaced(&socket), Ok(Exit::Io));
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    assert_eq!(replaced(&folder), Ok(Exit::No));
}

#[test]
fn p4_a_checkpoint_of_another_key_is_refused() {
    let other = Key::generate("lychgate.test/log").unwrap();
    let other = other.verifier().to_string();
    let own = test_key().verifier().to_string();
    assert_eq!(under(6, |_| {}, &["list", "--key", &own]).0, Ok(Exit::Fine));
    assert_eq!(
        under(6, |_| {}, &["list", "--key", &other]).0,
        Err(Exit::No)
    );
}

#[test]
fn p5_show_names_the_checkpoint_that_covers_an_entry() {
    let (_, text) = under(5, |_| {}, &["show", "1", "--json"]);
    let said: Vec<_> = objects(&text)
        .iter()
        .map(|o| (o["index"].clone(), o["checkpoint"].clone()))
        .collect();
    assert_eq!(said, [(1.into(), 5.into()), (5.into(), Value::Null)]);
    let (_, text) = under(5, |_| {}, &["show", "1"]);
    assert!(text.contains("under the checkpoint of 5 entries"), "{text}");
    assert!(text.contains("not yet under a checkpoint"), "{text}");
}

#[test]
fn tail_shows_the_newest_deletions_under_a_checkpoint() {
    let ids = |line: &[&str]| -> Vec<String> {
        let (exit, text) = under(5, |_| {}, line);
        assert_eq!(exit, Ok(Exit::Fine));
        let id = |object: &Value| object["request_id"].as_str().unwrap().to_owned();
        objects(&text).iter().map(id).collect()
    };
    assert_eq!(ids(&["tail", "--json"]), ["a", "b", "c"]);
    assert_eq!(ids(&["tail", "--json", "--limit", "1"]), ["c"]);
    assert_eq!(ids(&["tail", "--json", "--outcome", "open"]), ["a"]);
    assert!(ids(&["tail", "--json", "--limit", "0"]).is_empty());
    let (exit, text) = sample(|_| {}, &["tail", "--json"]);
    assert_eq!((exit, text.as_str()), (Ok(Exit::Fine), ""));
}

#[test]
fn p4_show_reports_only_damage_that_may_hide_its_entries() {
    // Entry 3 closes the deletion of entry 2, entry 5 that of entry 1.
    for (altered, shown, exit, count) in [
        (5, "1", Exit::No, 1),
        (5, "a", Exit::No, 1),
        (5, "2", Exit::Fine, 2),
        (3, "1", Exit::Fine, 2),
        (4, "b", Exit::Fine, 2),
    ] {
        let damage = |path: &Path| {
            let bundle = path.join("tile/entries/000.p/7");
            let mut bytes = std::fs::read(&bundle).unwrap();
            let entry = &sound()[altered];
            let at = bytes.windows(entry.len()).position(|some| some == entry);
            bytes[at.unwrap() + 30] ^= 1;
            std::fs::write(bundle, bytes).unwrap();
        };
        let (ended, text) = under(7, damage, &["show", shown, "--json"]);
        assert_eq!(ended, Ok(exit), "{altered} {shown}");
        assert_eq!(objects(&text).len(), count, "{altered} {shown}");
    }
}
