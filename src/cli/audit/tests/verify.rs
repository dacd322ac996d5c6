//! `audit verify` on real folders, with and without a receipt.

use super::*;

fn receipt_line(receipt: &Receipt) -> [&str; 8] {
    let Receipt {
        receipt,
        leaf,
        signature,
    } = receipt;
    [
        "verify",
        "--json",
        "--receipt",
        receipt,
        "--leaf",
        leaf,
        "--signature",
        signature,
    ]
}

fn receipt(index: u64, entry: &[u8]) -> Receipt {
    Receipt::sign(&test_key(), index, &leaf(entry))
}

fn judged(receipt: &Receipt) -> (Result<Exit, Exit>, Value) {
    let (exit, text) = sample(|_| {}, &receipt_line(receipt));
    (exit, objects(&text).remove(0))
}

#[test]
fn p4_a_sound_trail_verifies_with_its_counts() {
    let (exit, text) = sample(|_| {}, &["verify"]);
    assert_eq!(exit, Ok(Exit::Fine));
    assert!(text.contains("in flight   1\n"), "{text}");
    assert!(text.contains("3: 1 deleted, 1 not found"), "{text}");
    assert!(text.ends_with("the trail verifies\n"), "{text}");
}

#[test]
fn p4_damage_exits_with_1_and_its_place_is_named() {
    let damage = |path: &Path| tamper(path, |segment| segment[2 * 4096 + 200] ^= 1);
    let (exit, text) = sample(damage, &["verify", "--json"]);
    assert_eq!(exit, Ok(Exit::No));
    let object = &objects(&text)[0];
    assert_eq!(object["verified"], false);
    assert_eq!(
        (&object["segment"], &object["offset"]),
        (&1.into(), &8192.into())
    );
    assert!(
        sample(damage, &["verify"])
            .1
            .contains("does NOT verify: journal segment")
    );
}

#[test]
fn p4_a_missing_trail_exits_with_1() {
    let folder = test_folder("cli");
    assert_eq!(audit(folder.path(), &["verify"]).0, Ok(Exit::No));
}

#[test]
fn an_unreadable_key_file_exits_with_74() {
    let line = ["verify", "--key-file", "/nowhere/audit.key"];
    assert_eq!(sample(|_| {}, &line).0, Err(Exit::Io));
}

#[test]
fn p4_a_folder_with_another_key_is_refused() {
    let other = Key::generate("lychgate.test/log")
        .unwrap()
        .verifier()
        .to_string();
    let (exit, text) = sample(|_| {}, &["verify", "--key", &other]);
    assert_eq!(exit, Ok(Exit::No));
    assert!(text.contains("the folder's verifier key is"), "{text}");
}

#[test]
fn p5_a_receipt_that_the_trail_bears_out_exits_with_0() {
    for entry in [1, 5] {
        let (exit, object) = judged(&receipt(1, &sound()[entry]));
        assert_eq!(exit, Ok(Exit::Fine), "{object}");
        assert_eq!(object["receipt"]["genuine"], true);
        assert_eq!(object["receipt"]["borne_out"], true);
        assert_eq!(object["trusts_folder"], true);
    }
}

#[test]
fn p5_a_genuine_receipt_that_is_not_borne_out_is_evidence() {
    for receipt in [
        receipt(1, b"else"),
        receipt(99, b"gone"),
        receipt(4, &sound()[4]),
    ] {
        let (exit, object) = judged(&receipt);
        assert_eq!(exit, Ok(Exit::No));
        assert_eq!(object["verified"], true);
        assert_eq!(object["receipt"]["genuine"], true);
        assert_eq!(object["receipt"]["borne_out"], false);
    }
    let (_, text) = sample(|_| {}, &{
        let receipt = Box::leak(Box::new(receipt(99, b"gone")));
        let mut line = receipt_line(receipt).to_vec();
        line.retain(|word| *word != "--json");
        line
    });
    assert!(text.contains("evidence against this trail"), "{text}");
    assert!(text.contains("this trusts the folder"), "{text}");
}

#[test]
fn p5_an_altered_receipt_is_not_genuine() {
    let good = receipt(1, &sound()[5]);
    let other = receipt(2, &sound()[3]);
    let changed = [
        Receipt {
            receipt: other.receipt.clone(),
            ..good.clone()
        },
        Receipt {
            leaf: other.leaf.clone(),
            ..good.clone()
        },
        Receipt {
            signature: other.signature,
            ..good.clone()
        },
        Receipt {
            receipt: "other/1".into(),
            ..good.clone()
        },
        Receipt {
            leaf: "rubbish".into(),
            ..good
        },
    ];
    for receipt in changed {
        let (exit, object) = judged(&receipt);
        assert_eq!(exit, Ok(Exit::No), "{receipt:?}");
        assert_eq!(object["receipt"]["genuine"], false, "{receipt:?}");
    }
}

#[test]
fn p5_with_a_given_key_the_folder_is_not_trusted() {
    let receipt = receipt(1, &sound()[5]);
    let key = test_key().verifier().to_string();
    let mut line = receipt_line(&receipt).to_vec();
    line.extend(["--key", &key]);
    let unmarked = |path: &Path| std::fs::remove_file(path.join("verifier")).unwrap();
    let (exit, text) = sample(unmarked, &line);
    assert_eq!(exit, Ok(Exit::Fine));
    assert_eq!(objects(&text)[0]["trusts_folder"], false);
}

#[test]
fn p5_without_any_key_a_receipt_cannot_be_verified() {
    let receipt = receipt(1, &sound()[5]);
    let unmarked = |path: &Path| std::fs::remove_file(path.join("verifier")).unwrap();
    assert_eq!(
        sample(unmarked, &receipt_line(&receipt)).0,
        Err(Exit::Usage)
    );
}
