//! The verbs on folders with tiles and a checkpoint.

use super::*;
use crate::audit::read::testing::publish;

/// The sample with its first entries under a checkpoint.
fn under(count: usize, change: impl FnOnce(&Path), line: &[&str]) -> (Result<Exit, Exit>, String) {
    let published = |path: &Path| {
        publish(path, &sound()[..count]);
        change(path);
    };
    sample(published, line)
}

#[test]
fn a_list_is_the_same_wherever_its_entries_stand() {
    let plain = sample(|_| {}, &["list", "--json"]);
    for count in 1..=7 {
        for limit in [&[][..], &["--limit", "9"]] {
            let line = [&["list", "--json"], limit].concat();
            assert_eq!(under(count, |_| {}, &line), plain, "{count}");
        }
    }
}

#[test]
fn p4_none_is_never_listed_over_damage() {
    let line = ["list", "--json", "--user", "nobody"];
    assert_eq!(under(6, |_| {}, &line), (Ok(Exit::Fine), String::new()));
    for damaged in ["tile/entries/000.p/6", "tile/0/000.p/6", "checkpoint"] {
        let damage = |path: &Path| {
            let path = path.join(damaged);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[30] ^= 1;
            std::fs::write(path, bytes).unwrap();
        };
        assert_eq!(under(6, damage, &line).0, Err(Exit::No), "{damaged}");
        let remove = |path: &Path| std::fs::remove_file(path.join(damaged)).unwrap();
        if damaged != "checkpoint" {
            assert_eq!(under(6, remove, &line).0, Err(Exit::No), "{damaged}");
        }
    }
}

#[test]
fn p4_what_cannot_be_read_is_exit_74() {
    let replaced = |by: &dyn Fn(&Path)| {
        let replace = |path: &Path| {
            let bundle = path.join("tile/entries/000.p/6");
            std::fs::remove_file(&bundle).unwrap();
            by(&bundle);
        };
        under(6, replace, &["list"]).0
    };
    // No user may open a socket as a file; a folder says that no bundle is there.
    let socket = |path: &Path| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    assert_eq!(replaced(&socket), Err(Exit::Io));
    let folder = |path: &Path| std::fs::create_dir(path).unwrap();
    assert_eq!(replaced(&folder), Err(Exit::No));
}

#[test]
fn p4_a_checkpoint_that_the_given_key_did_not_sign_is_no_answer() {
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
fn p5_show_says_which_entries_a_checkpoint_covers() {
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
fn tail_shows_the_newest_that_a_checkpoint_covers() {
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
