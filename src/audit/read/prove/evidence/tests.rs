//! Tests of proofs with their entries: no changed byte verifies.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::super::{Proved, Side, Wanted, prove};
use super::*;
use crate::audit::entry::Verdict;
use crate::audit::log::key::test_key;
use crate::audit::log::proof::MAX_PROOF_BYTES;
use crate::audit::read::Location;
use crate::audit::read::query::tests::{intent, outcome, part, refused};
use crate::audit::read::verify::sample::{bytes, leaf_of, write_log};
use crate::audit::test_folder;

/// alive · intent a · outcome of a · two intents of b · outcome of b · refused c · intent d
fn entries() -> Vec<Vec<u8>> {
    let a = bytes(1, Kind::Intent(intent("a", &["1"])));
    let mut closes_a = outcome(1, "a", vec![leaf_of(&a)]);
    closes_a.ending.outcome = Verdict::NotFound;
    let b = [1, 2].map(|number| bytes(3, Kind::Intent(part("b", &["2", "3"], number, 2))));
    let closes_b = outcome(3, "b", b.iter().map(|part| leaf_of(part)).collect());
    let [first, second] = b;
    vec![
        bytes(0, Kind::Alive {}),
        a,
        bytes(2, Kind::Outcome(closes_a)),
        first,
        second,
        bytes(4, Kind::Outcome(closes_b)),
        bytes(5, Kind::Refused(refused("c", "scope-missing"))),
        bytes(6, Kind::Intent(intent("d", &["4"]))),
    ]
}

fn proof_of(index: u64) -> TlogProof {
    let folder = test_folder("evidence");
    write_log(folder.path(), &entries(), &[8]);
    let location = Location::Folder(folder.path().to_owned());
    let (key, wanted) = (test_key(), Wanted::Index(index));
    let proved = prove(
        &location,
        key.verifier(),
        &wanted,
        Side::Closing,
        None,
        Duration::ZERO,
    );
    let Proved { proof, apart } = proved.unwrap();
    assert_eq!(apart, None);
    proof
}

fn judged(proof: &TlogProof, apart: Option<&[u8]>) -> Result<Evidence, String> {
    judge(proof, apart, None, test_key().verifier())
}

/// The proof of the split deletion, and its intents.
static SPLIT: LazyLock<TlogProof> = LazyLock::new(|| proof_of(5));
static INTENTS: LazyLock<Vec<u8>> = LazyLock::new(|| entries()[3..5].join(&b'\n'));

fn with_extra(extra: Vec<u8>) -> TlogProof {
    TlogProof {
        extra: Some(extra),
        ..SPLIT.clone()
    }
}

#[test]
fn p5_a_proof_shows_who_deleted_whom_with_which_result() {
    let evidence = judged(&SPLIT, None).unwrap();
    let deletion = evidence.deletion.unwrap();
    assert_eq!((deletion.index, deletion.closing_index), (3, Some(5)));
    assert_eq!(deletion.users, ["2", "3", "2", "3"]);
    assert_eq!(deletion.caller.subject, "alice");
    assert_eq!(evidence.missing, None);
    let refused = judged(&proof_of(6), None).unwrap();
    assert_eq!(refused.deletion.unwrap().code.unwrap(), "scope-missing");
    let other = judged(&proof_of(0), None).unwrap();
    assert_eq!((other.deletion, other.missing), (None, None));
}

#[test]
fn p5_a_proof_says_what_it_lacks() {
    let alone = with_extra(entries().remove(5));
    let evidence = judged(&alone, None).unwrap();
    assert_eq!(evidence.missing, Some(MissingPart::Intent));
    assert_eq!(evidence.deletion, None);
    let intent = judged(&proof_of(7), None).unwrap();
    assert_eq!(intent.missing, Some(MissingPart::Closing));
    assert_eq!(intent.deletion.unwrap().users, ["4"]);
    let bare = TlogProof {
        extra: None,
        ..SPLIT.clone()
    };
    assert!(judged(&bare, None).is_err());
    let given = leaf(&entries()[5]);
    let evidence = judge(&bare, None, Some(&given), test_key().verifier()).unwrap();
    assert_eq!(evidence.missing, Some(MissingPart::Entry));
}

#[test]
fn p5_a_given_leaf_is_that_of_an_entry_in_the_proof() {
    for (index, is_of_it) in [(3, true), (4, true), (5, true), (1, false), (2, false)] {
        let given = leaf(&entries()[index]);
        let with = judge(&SPLIT, None, Some(&given), test_key().verifier());
        assert_eq!(with.is_ok(), is_of_it, "{index}");
    }
}

#[test]
fn p5_no_intent_may_be_left_out_doubled_or_swapped() {
    let all = entries();
    let closing = &all[5];
    for intents in [
        vec![3],
        vec![4],
        vec![4, 3],
        vec![3, 3],
        vec![3, 4, 4],
        vec![3, 4, 1],
        vec![1],
    ] {
        let parts = intents.iter().map(|index: &usize| all[*index].clone());
        let parts: Vec<Vec<u8>> = parts.collect();
        let extra = [std::slice::from_ref(closing), &parts[..]]
            .concat()
            .join(&b'\n');
        assert!(judged(&with_extra(extra), None).is_err(), "{intents:?}");
        let apart = with_extra(closing.clone());
        let apart = judged(&apart, Some(&parts.join(&b'\n')));
        assert!(apart.is_err(), "{intents:?}");
    }
    let apart = judged(&with_extra(closing.clone()), Some(&INTENTS));
    assert_eq!(apart, judged(&SPLIT, None));
}

#[test]
fn p5_nothing_may_follow_an_entry_that_closes_nothing() {
    for index in [0, 1, 6, 7] {
        let mut proof = proof_of(index);
        assert!(judged(&proof, None).is_ok(), "{index}");
        assert!(judged(&proof, Some(b"")).is_err(), "{index}");
        proof.extra.as_mut().unwrap().extend(b"\n{}");
        assert!(judged(&proof, None).is_err(), "{index}");
    }
}

#[test]
fn p5_each_flipped_bit_of_a_proof_is_found() {
    let text = SPLIT.to_text();
    assert!(text.len() < MAX_PROOF_BYTES);
    for at in 0..text.len() {
        let mut bad = text.clone();
        bad[at] ^= 1 << (at % 8);
        let read = TlogProof::parse(&bad).map_err(|error| error.to_string());
        let shown = read.and_then(|proof| judged(&proof, None));
        assert!(shown.is_err(), "{at}: {shown:?}");
    }
}

proptest! {
    #[test]
    fn p5_a_changed_extra_never_verifies(
        at: prop::sample::Index, until: prop::sample::Index, put in "(\n|[{}\"0a]|\\PC){0,3}"
    ) {
        let good = SPLIT.extra.clone().unwrap();
        let mut bad = good.clone();
        let (from, to) = (at.index(good.len() + 1), until.index(good.len() + 1));
        bad.splice(from.min(to)..from.max(to), put.bytes());
        match judged(&with_extra(bad.clone()), None) {
            Ok(evidence) if evidence.missing == Some(MissingPart::Intent) => {
                prop_assert_eq!(&bad, &entries()[5]);
            }
            Ok(_) => prop_assert_eq!(bad, good),
            Err(_) => prop_assert_ne!(bad, good),
        }
    }

    #[test]
    fn p5_changed_intents_apart_never_verify(at: prop::sample::Index, byte: u8, insert: bool) {
        let proof = with_extra(entries().remove(5));
        let mut bad = INTENTS.clone();
        let at = at.index(bad.len());
        if insert { bad.insert(at, byte) } else { bad[at] = byte }
        prop_assert_eq!(judged(&proof, Some(&bad)).is_ok(), bad == *INTENTS);
    }

    #[test]
    fn p5_any_bytes_as_extra_never_panic(extra: Vec<u8>, apart: Option<Vec<u8>>) {
        let proof = with_extra(extra);
        let _ = max_bytes_apart(&proof);
        prop_assert!(judged(&proof, apart.as_deref()).is_err());
    }
}
