//! The command lines of `audit prove`, and of `audit verify` with `--proof`, `--receipt` and
//! `--against`.

use super::*;
use crate::audit::TestFolder;
use crate::audit::log::proof::TlogProof;
use crate::audit::read::verify::sample::{checkpoint, long, split, write_log};

fn published() -> TestFolder {
    let folder = test_folder("cli");
    write_log(folder.path(), &long(300), &[300]);
    folder
}

/// Runs an `audit` command without `--dir`.
pub(super) fn line(words: &[&str]) -> (Result<Exit, Exit>, String) {
    let words = ["audit"].into_iter().chain(words.iter().copied());
    let arguments = Line::try_parse_from(words).unwrap().arguments;
    let mut out = Vec::new();
    let exit = run(&mut out, arguments).map_err(|stop| match stop {
        Stop::Message(exit, _) | Stop::Rendered(exit, _) => exit,
        Stop::Output(error) => panic!("{error}"),
    });
    (exit, String::from_utf8(out).unwrap())
}

fn key() -> String {
    test_key().verifier().to_string()
}

/// Writes a proof into a file and returns the file's path.
fn proof(folder: &TestFolder, words: &[&str]) -> String {
    let (exit, text) = audit(folder.path(), &[&["prove"], words].concat());
    assert_eq!(exit, Ok(Exit::Fine));
    let path = folder.path().join("a.tlog-proof");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn p5_a_printed_proof_verifies_offline_with_only_the_key() {
    let folder = published();
    for words in [
        &["257"][..],
        &["lychgate.test/log/257"],
        &["request 257"],
        &["request 257", "--entry", "intent"],
    ] {
        let path = proof(&folder, words);
        let (exit, text) = line(&["verify", "--json", "--proof", &path, "--key", &key()]);
        assert_eq!(exit, Ok(Exit::Fine), "{text}");
        let object = &objects(&text)[0];
        assert_eq!(object["verified"], true);
        let kind = &object["proof"]["entry"]["kind"];
        let is_intent = words.len() == 3 || words == ["257"];
        assert_eq!(kind, if is_intent { "intent" } else { "outcome" });
        let (_, listed) = audit(folder.path(), &["list", "--json", "--user", "1"]);
        let mut listed = objects(&listed).remove(128);
        if is_intent {
            for name in ["reason", "sent", "status", "revision", "closing_index"] {
                listed[name] = Value::Null;
            }
            listed["outcome"] = "open".into();
            listed["attempts"] = 0.into();
        }
        assert_eq!(object["proof"]["deletion"], listed, "{words:?}");
    }
}

#[test]
fn p5_verify_shows_what_a_proof_proves() {
    let folder = published();
    let path = proof(&folder, &["257"]);
    let (_, text) = line(&["verify", "--proof", &path, "--key", &key()]);
    assert!(text.contains("entry 257 of a log of 300"), "{text}");
    assert!(text.contains("the proof holds"), "{text}");
}

/// A folder with a deletion of two intents that a proof has no room for.
fn too_long() -> TestFolder {
    let folder = test_folder("cli");
    write_log(folder.path(), &split(2, 2_100), &[3]);
    folder
}

#[test]
fn p5_out_writes_a_new_file_and_never_overwrites_one() {
    let folder = published();
    let (_, printed) = audit(folder.path(), &["prove", "258"]);
    let path = folder.path().join("new");
    let words = ["prove", "258", "--out", path.to_str().unwrap()];
    assert_eq!(audit(folder.path(), &words), (Ok(Exit::Fine), "".into()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), printed);
    std::fs::write(&path, "precious").unwrap();
    assert_eq!(audit(folder.path(), &words).0, Err(Exit::Io));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let nowhere = ["prove", "258", "--out", "/nowhere/new"];
    assert_eq!(audit(folder.path(), &nowhere).0, Err(Exit::Io));
    assert!(!folder.path().join("new.intent").exists());
}

#[test]
fn p5_an_intent_without_room_goes_to_a_file_beside_the_proof() {
    let folder = too_long();
    let path = folder.path().join("new");
    let beside = folder.path().join("new.intent");
    let file = path.to_str().unwrap();
    let words = ["prove", "lychgate.test/log/0", "--out", file];
    assert_eq!(audit(folder.path(), &words).0, Ok(Exit::Fine));
    let intents = std::fs::read(&beside).unwrap();
    assert_eq!(intents, split(2, 2_100)[..2].join(&b'\n'));
    let verify = || line(&["verify", "--json", "--proof", file, "--key", &key()]);
    let (exit, text) = verify();
    assert_eq!(exit, Ok(Exit::Fine), "{text}");
    let users = &objects(&text)[0]["proof"]["deletion"]["users"];
    assert_eq!(users.as_array().unwrap().len(), 4_200);
    for bad in [
        &intents[..intents.len() - 1],
        &[&intents[..], b"\n"].concat(),
    ] {
        std::fs::write(&beside, bad).unwrap();
        assert_eq!(verify().0, Ok(Exit::No));
    }
    std::fs::remove_file(&beside).unwrap();
    std::fs::create_dir(&beside).unwrap();
    assert_eq!(verify().0, Err(Exit::Io), "it cannot be read");
    std::fs::remove_dir(&beside).unwrap();
    let (exit, text) = verify();
    assert_eq!(exit, Ok(Exit::Fine), "{text}");
    assert_eq!(objects(&text)[0]["proof"]["missing"], "intent");
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&beside, "precious").unwrap();
    assert_eq!(audit(folder.path(), &words).0, Err(Exit::Io));
    assert_eq!(std::fs::read(&beside).unwrap(), b"precious");
    assert!(!path.exists());
}

#[test]
fn p5_a_proof_of_the_earlier_form_says_what_is_missing() {
    let folder = published();
    let (_, text) = audit(folder.path(), &["prove", "258"]);
    let mut proof = TlogProof::parse(text.as_bytes()).unwrap();
    proof.extra = Some(long(300).remove(258));
    let path = folder.path().join("earlier");
    std::fs::write(&path, proof.to_text()).unwrap();
    let (exit, text) = line(&["verify", "--proof", path.to_str().unwrap(), "--key", &key()]);
    assert_eq!(exit, Ok(Exit::Fine));
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(text.contains("\nmissing     the intent: "), "{text}");
    assert!(
        text.contains("\nget it by   lychgate audit prove 258\n"),
        "{text}"
    );
    assert!(text.contains("\nthe proof holds: "), "{text}");
}

#[test]
fn p5_a_missing_key_exits_with_2_and_a_missing_log_with_74() {
    let folder = published();
    std::fs::remove_file(folder.path().join("verifier")).unwrap();
    let prove = |path: &Path| audit(path, &["prove", "257"]).0;
    assert_eq!(prove(folder.path()), Err(Exit::Usage));
    let nowhere = Path::new("/nowhere/audit");
    assert_eq!(prove(nowhere), Err(Exit::Io));
    let words = ["prove", "257", "--key", &key()];
    assert_eq!(audit(nowhere, &words).0, Err(Exit::Io));
}

#[test]
fn p5_an_altered_proof_or_another_key_exits_with_1() {
    let folder = published();
    let path = proof(&folder, &["257"]);
    let other = Key::generate("lychgate.test/log").unwrap();
    let other = other.verifier().to_string();
    assert_eq!(
        line(&["verify", "--proof", &path, "--key", &other]).0,
        Ok(Exit::No)
    );
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("index 257", "index 256")).unwrap();
    let (exit, text) = line(&["verify", "--proof", &path, "--key", &key()]);
    assert_eq!(exit, Ok(Exit::No));
    assert!(text.contains("the proof does NOT hold"), "{text}");
}

#[test]
fn an_unreadable_proof_exits_with_74_and_a_missing_key_with_2() {
    assert_eq!(
        line(&["verify", "--proof", "/nowhere", "--key", &key()]).0,
        Err(Exit::Io)
    );
    assert_eq!(line(&["verify", "--proof", "/nowhere"]).0, Err(Exit::Usage));
    assert_eq!(line(&["verify"]).0, Err(Exit::Usage));
    let against = ["audit", "verify", "--against", "kept"];
    assert!(Line::try_parse_from(against).is_err());
}

#[test]
fn p5_a_proof_without_the_entry_is_verified_by_the_given_leaf() {
    let folder = published();
    let path = proof(&folder, &["257"]);
    let text = std::fs::read_to_string(&path).unwrap();
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with("extra "))
        .collect();
    std::fs::write(&path, format!("{}\n", without.join("\n"))).unwrap();
    let right = STANDARD.encode(leaf(&long(300)[257]));
    let wrong = STANDARD.encode(leaf(&long(300)[256]));
    let with = |leaf: &str| line(&["verify", "--proof", &path, "--key", &key(), "--leaf", leaf]).0;
    assert_eq!((with(&right), with(&wrong)), (Ok(Exit::Fine), Ok(Exit::No)));
    assert_eq!(
        line(&["verify", "--proof", &path, "--key", &key()]).0,
        Ok(Exit::No)
    );
}

#[test]
fn p5_a_leaf_that_differs_from_the_logs_exits_with_1() {
    let folder = published();
    let of = |index: usize| STANDARD.encode(leaf(&long(300)[index]));
    let with = |leaf: &str| {
        audit(
            folder.path(),
            &["prove", "lychgate.test/log/257", "--leaf", leaf],
        )
        .0
    };
    assert_eq!(
        (with(&of(257)), with(&of(258))),
        (Ok(Exit::Fine), Ok(Exit::Fine))
    );
    assert_eq!(
        (with(&of(256)), with("rubbish")),
        (Err(Exit::No), Err(Exit::No))
    );
}

#[test]
fn p5_a_receipt_of_another_log_or_no_deletion_exits_with_1() {
    let folder = published();
    for what in [
        "other/257",
        "lychgate.test/log/258",
        "lychgate.test/log/999",
        "nobody",
        "999",
    ] {
        assert_eq!(
            audit(folder.path(), &["prove", what]).0,
            Err(Exit::No),
            "{what}"
        );
    }
}

#[test]
fn p5_a_receipt_is_verified_alone_and_with_a_proof() {
    let folder = published();
    let receipt = Receipt::sign(&test_key(), 257, &leaf(&long(300)[258]));
    let words = |more: &[&str]| -> (Result<Exit, Exit>, String) {
        let given = [
            "verify",
            "--key",
            &key(),
            "--receipt",
            &receipt.receipt,
            "--leaf",
            &receipt.leaf,
            "--signature",
            &receipt.signature,
        ];
        line(&[&given, more].concat())
    };
    let (exit, text) = words(&[]);
    assert_eq!(exit, Ok(Exit::Fine));
    assert!(text.contains("was not checked"), "{text}");
    let right = proof(&folder, &[&receipt.receipt]);
    let (exit, text) = words(&["--proof", &right]);
    assert_eq!(exit, Ok(Exit::Fine));
    assert!(text.contains("the proof bears it out"), "{text}");
    let wrong = proof(&folder, &["260"]);
    assert_eq!(words(&["--proof", &wrong]).0, Ok(Exit::No));
}

#[test]
fn p5_a_receipt_of_the_intent_is_verified_with_the_one_proof() {
    let folder = published();
    let path = proof(&folder, &["lychgate.test/log/257"]);
    for (leaf_of, exit) in [(257, Exit::Fine), (258, Exit::Fine), (259, Exit::No)] {
        let receipt = Receipt::sign(&test_key(), 257, &leaf(&long(300)[leaf_of]));
        let given = ["verify", "--key", &key(), "--receipt", &receipt.receipt];
        let signed = ["--leaf", &receipt.leaf, "--signature", &receipt.signature];
        let (is, text) = line(&[&given[..], &signed, &["--proof", &path]].concat());
        assert_eq!(is, Ok(exit), "{text}");
    }
}

#[test]
fn p4_a_kept_checkpoint_finds_a_roll_back_and_a_fork() {
    let folder = published();
    let path = folder.path().join("kept");
    let against = |entries: &[Vec<u8>]| {
        std::fs::write(&path, checkpoint(entries, &test_key()).sign(&test_key())).unwrap();
        audit(
            folder.path(),
            &[
                "verify",
                "--against",
                path.to_str().unwrap(),
                "--key",
                &key(),
            ],
        )
    };
    let (exit, text) = against(&long(270));
    assert_eq!(exit, Ok(Exit::Fine), "{text}");
    assert!(text.contains("a kept checkpoint of 270 entries"), "{text}");
    let (exit, text) = against(&long(301));
    assert_eq!(exit, Ok(Exit::No));
    assert!(text.contains("rolled back"), "{text}");
    let mut other = long(270);
    other.swap(1, 3);
    let (exit, text) = against(&other);
    assert_eq!(exit, Ok(Exit::No));
    assert!(text.contains("another history"), "{text}");
}

#[test]
fn p4_a_malformed_kept_checkpoint_is_1_an_unreadable_one_74() {
    let folder = published();
    let path = folder.path().join("kept");
    std::fs::write(&path, "rubbish").unwrap();
    let against = |path: &str| audit(folder.path(), &["verify", "--against", path]).0;
    assert_eq!(against(path.to_str().unwrap()), Ok(Exit::No));
    assert_eq!(against("/nowhere"), Err(Exit::Io));
}

#[test]
fn p4_without_a_key_verify_says_that_it_trusts_the_folder() {
    let folder = published();
    let (_, text) = audit(folder.path(), &["verify"]);
    assert!(text.contains("this trusts the folder"), "{text}");
    let (_, text) = audit(folder.path(), &["verify", "--key", &key()]);
    assert!(!text.contains("this trusts the folder"), "{text}");
    assert!(text.contains("covers 300 of them"), "{text}");
}
