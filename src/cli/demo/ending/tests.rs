//! Tests of the demo's end on a log without a gateway.

use super::*;
use crate::audit::entry::Kind;
use crate::audit::log::key::test_key;
use crate::audit::log::merkle::leaf;
use crate::audit::read::query::tests::{intent, outcome};
use crate::audit::read::verify::sample::{bytes, leaf_of, write_log};
use crate::audit::{TestFolder, test_folder};

/// A log with one deletion by the subject that the demo alters, and the deletion's receipt.
fn log() -> (TestFolder, Receipt) {
    let folder = test_folder("ending");
    let audit = folder.path().join("audit");
    fs::create_dir_all(audit.join("journal")).unwrap();
    let mut deletion = intent("a", &["1"]);
    deletion.caller.subject = crate::cli::demo::scene::SUBJECT.to_owned();
    let open = bytes(1, Kind::Intent(deletion));
    let close = bytes(2, Kind::Outcome(outcome(1, "a", vec![leaf_of(&open)])));
    let receipt = Receipt::sign(&test_key(), 1, &leaf(&close));
    write_log(&audit, &[bytes(0, Kind::Alive {}), open, close], &[3]);
    (folder, receipt)
}

fn play(act: fn(Stage<'_>, &Receipt) -> Act, change: impl FnOnce(&Path, &mut Receipt)) -> Act {
    let (folder, mut receipt) = log();
    change(folder.path(), &mut receipt);
    let key = test_key().verifier().clone();
    let stage = Stage {
        folder: folder.path(),
        key: &key,
    };
    act(stage, &receipt)
}

#[test]
fn verification_names_the_altered_entry_of_the_copy() {
    let act = play(altered_copy, |_, _| {});
    assert_eq!(act.fault, None);
    let words = "the trail does NOT verify: entry 1 (tile/entries/000.p/3): ";
    assert!(act.answer.starts_with(words), "{}", act.answer);
    assert!(!act.is_yes);
    let sed = r#"sed -i s/ada@/eve@/ "$DEMO/copy/tile/entries/000.p"/*"#;
    assert_eq!(act.commands[2], sed);
}

#[test]
fn the_trail_itself_is_unchanged() {
    let (folder, receipt) = log();
    let key = test_key().verifier().clone();
    let stage = Stage {
        folder: folder.path(),
        key: &key,
    };
    altered_copy(stage, &receipt);
    let mut act = Act::default();
    let verify = r#"lychgate audit verify --dir "$DEMO/audit" --key "$KEY""#;
    assert_eq!(act.run(stage, verify), Ok(Exit::Fine));
    assert!(act.answer.contains("the trail verifies"), "{}", act.answer);
}

#[test]
fn another_entry_than_the_receipts_is_a_fault() {
    let act = play(altered_copy, |_, receipt| {
        receipt.receipt = receipt.receipt.replace("/1", "/2");
    });
    let fault = act.fault.unwrap();
    assert!(fault.contains("the answer should be: "), "{fault}");
    assert!(fault.contains("entry 2 "), "{fault}");
}

#[test]
fn a_log_without_the_name_or_a_checkpoint_is_a_fault() {
    let nameless = play(altered_copy, |folder, _| {
        let bundle = folder.join("audit/tile/entries/000.p/3");
        let text = fs::read(&bundle).unwrap();
        fs::write(&bundle, &text[..9]).unwrap();
    });
    assert!(nameless.fault.unwrap().contains("the name is missing"));
    let bare = play(altered_copy, |folder, _| {
        fs::remove_file(folder.join("audit/checkpoint")).unwrap();
    });
    assert!(bare.fault.unwrap().contains("cannot be copied"));
}

#[test]
fn the_proof_of_a_receipt_holds_with_only_the_key() {
    let act = play(proved_receipt, |_, _| {});
    assert_eq!(act.fault, None);
    assert!(
        act.answer.starts_with("the proof holds: "),
        "{}",
        act.answer
    );
    assert!(act.is_yes);
}

#[test]
fn a_receipt_with_another_leaf_has_no_proof() {
    let act = play(proved_receipt, |_, receipt| {
        receipt.leaf = leaf_of(b"another");
    });
    assert!(act.fault.is_some());
    assert_eq!(act.answer, "");
}

#[test]
fn only_audit_commands_run() {
    let key = test_key().verifier().clone();
    let stage = Stage {
        folder: Path::new("/nowhere"),
        key: &key,
    };
    for line in [
        "lychgate demo --once",
        "lychgate audit sing",
        "sed -i s/a/b/ c",
    ] {
        assert!(Act::default().run(stage, line).is_err(), "{line}");
    }
}
