//! Every kind of tampering with a list of entries, and sound lists.

use super::super::sample::{bytes, leaf_of, sound};
use super::*;
use crate::audit::entry::{Actor, Entry, Kind, LossAccepted, Trouble, TurnedAway, Verdict};
use crate::audit::log::merkle::leaf;
use crate::audit::read::query::tests::{outcome, part};

fn verify(entries: &[Vec<u8>]) -> Result<Summary, Failure> {
    let mut checker = Checker::default();
    for (index, bytes) in entries.iter().enumerate() {
        checker.push(index as u64, bytes, &leaf(bytes))?;
    }
    checker.finish()
}

fn fault(entries: &[Vec<u8>]) -> Failure {
    verify(entries).expect_err("tampering must be found")
}

#[test]
fn p4_a_sound_trail_passes_and_is_counted() {
    let summary = verify(&sound()).unwrap();
    assert_eq!(summary.entries, 7);
    assert_eq!((summary.deleted, summary.not_found), (1, 1));
    assert_eq!((summary.refused, summary.open), (1, 1));
    assert_eq!(summary.deletions(), 3);
}

#[test]
fn p4_an_empty_trail_passes() {
    assert_eq!(verify(&[]).unwrap(), Summary::default());
}

#[test]
fn p2_an_open_intent_is_counted_and_no_fault() {
    assert_eq!(verify(&sound()[..3]).unwrap().open, 2);
}

#[test]
fn summed_attempts_are_counted() {
    let sums = TurnedAway {
        unknown_callers: [("token-missing".to_string(), 40)].into(),
        known_callers: [("scope-missing".to_string(), 2)].into(),
        ..TurnedAway::default()
    };
    let summary = verify(&[bytes(0, Kind::TurnedAway(sums))]).unwrap();
    assert_eq!(summary.turned_away, 42);
}

#[test]
fn p4_a_dropped_entry_is_found() {
    for dropped in 0..6 {
        let mut checker = Checker::default();
        let fault = sound()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| *index != dropped)
            .find_map(|(index, bytes)| checker.push(index as u64, &bytes, &leaf(&bytes)).err());
        assert_eq!(fault.and_then(|f| f.index), Some(dropped as u64 + 1));
    }
}

#[test]
fn p4_a_dropped_intent_is_found_even_with_new_indexes() {
    for dropped in [1, 2] {
        let mut entries = sound();
        entries.remove(dropped);
        assert!(verify(&entries).is_err(), "entry {dropped}");
    }
}

#[test]
fn p4_a_gap_in_the_indexes_is_found() {
    let entries = sound();
    let mut checker = Checker::default();
    checker.push(0, &entries[0], &leaf(&entries[0])).unwrap();
    let fault = checker
        .push(2, &entries[1], &leaf(&entries[1]))
        .unwrap_err();
    assert_eq!(fault.to_string(), "entry 2: found where 1 belongs");
}

#[test]
fn p4_a_trail_without_its_beginning_is_found() {
    let entries = sound();
    let fault = Checker::default()
        .push(5, &entries[5], &[0; 32])
        .unwrap_err();
    assert_eq!(fault.index, Some(5));
}

#[test]
fn p4_swapped_entries_are_found() {
    for first in 0..6 {
        let mut entries = sound();
        entries.swap(first, first + 1);
        assert!(verify(&entries).is_err(), "entries {first}, {}", first + 1);
    }
}

#[test]
fn p4_a_doubled_outcome_is_found() {
    let mut entries = sound();
    entries.insert(4, entries[3].clone());
    let fault = fault(&entries);
    assert_eq!(fault.index, Some(4));
    assert!(fault.what.contains("closed before"), "{fault}");
}

#[test]
fn p4_a_doubled_intent_shifts_the_later_indexes() {
    let mut entries = sound();
    entries.insert(1, entries[1].clone());
    assert!(verify(&entries).is_err());
}

#[test]
fn p4_every_flipped_bit_of_a_closed_intent_is_found() {
    let entries = sound();
    for bit in 0..entries[1].len() * 8 {
        let mut flipped = entries.clone();
        flipped[1][bit / 8] ^= 1 << (bit % 8);
        assert!(verify(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn p2_two_outcomes_for_one_intent_are_found() {
    let mut entries = sound();
    let mut second = outcome(1, "a", vec![leaf_of(&entries[1])]);
    second.ending.outcome = Verdict::Failed;
    entries.push(bytes(7, Kind::Outcome(second)));
    assert_eq!(fault(&entries).index, Some(7));
}

#[test]
fn p2_an_outcome_that_names_no_intent_is_found() {
    let mut entries = sound();
    entries.push(bytes(7, Kind::Outcome(outcome(4, "c", vec!["x".into()]))));
    let fault = fault(&entries);
    assert_eq!(fault.index, Some(7));
    assert!(fault.what.contains("is not an intent"), "{fault}");
}

#[test]
fn p2_an_outcome_before_its_intent_is_found() {
    let early = bytes(0, Kind::Outcome(outcome(1, "a", vec!["x".into()])));
    assert_eq!(fault(&[early]).index, Some(0));
}

#[test]
fn p4_an_outcome_with_another_leaf_is_found() {
    let mut entries = sound();
    let wrong = outcome(1, "a", vec![leaf_of(&entries[2])]);
    entries[5] = bytes(5, Kind::Outcome(wrong));
    let fault = fault(&entries);
    assert_eq!(fault.index, Some(5));
    assert!(fault.what.contains("leaf hash"), "{fault}");
}

#[test]
fn p4_an_outcome_of_another_request_is_found() {
    let mut entries = sound();
    let wrong = outcome(1, "z", vec![leaf_of(&entries[1])]);
    entries[5] = bytes(5, Kind::Outcome(wrong));
    assert!(fault(&entries).what.contains("another request"));
}

#[test]
fn an_accepted_loss_begins_its_log() {
    let loss = LossAccepted {
        accepted: "2026-11-24T12:00:00.000000Z".into(),
        reason: "r".into(),
        actor: Actor { uid: 0 },
        old_origin: None,
        old_checkpoint: None,
        left_in: "lost".into(),
    };
    let loss = bytes(9, Kind::LossAccepted(loss));
    assert!(verify(std::slice::from_ref(&loss)).is_ok());
    assert_eq!(fault(&[bytes(9, Kind::Alive {}), loss]).index, Some(1));
}

mod form {
    use super::*;

    fn of(text: &str) -> Result<Entry, String> {
        Entry::decode_exact(text.as_bytes())
    }

    const ALIVE: &str = r#"{"time":"2026-11-24T12:00:00.000000Z","kind":"alive"}"#;

    #[test]
    fn the_plain_form_passes() {
        assert!(of(ALIVE).is_ok());
    }

    #[test]
    fn p4_an_unknown_kind_is_named() {
        let fault = fault(&[ALIVE.replace("alive", "undead").into_bytes()]);
        assert_eq!(fault.index, Some(0));
        assert!(fault.what.contains("undead"), "{fault}");
    }

    #[test]
    fn p4_an_unknown_field_is_found() {
        assert!(of(&ALIVE.replace('}', r#","more":1}"#)).is_err());
    }

    #[test]
    fn p4_other_bytes_with_the_same_meaning_are_found() {
        assert!(of(&ALIVE.replace(':', ": ")).is_err());
        assert!(of(&format!("{ALIVE} ")).is_err());
        assert!(of(&ALIVE.replace("alive", r"al\u0069ve")).is_err());
        assert!(of(r#"{"kind":"alive","time":"2026-11-24T12:00:00.000000Z"}"#).is_err());
    }

    #[test]
    fn p4_invalid_or_truncated_json_is_found() {
        assert!(of("").is_err());
        assert!(of(&ALIVE[..ALIVE.len() - 1]).is_err());
        assert!(Entry::decode_exact(b"\xff").is_err());
    }
}

mod time {
    use super::*;

    fn trouble(cause: &str) -> Kind {
        Kind::Trouble(Trouble {
            cause: cause.into(),
            state: "noted".into(),
            since: "2026-11-24T12:00:00.000000Z".into(),
            refused: 0,
            detail: "set back by 9 s".into(),
        })
    }

    #[test]
    fn p4_time_that_goes_back_is_found() {
        let fault = fault(&[bytes(9, Kind::Alive {}), bytes(8, Kind::Alive {})]);
        assert_eq!(fault.index, Some(1));
        assert!(fault.what.contains("lies before"), "{fault}");
    }

    #[test]
    fn time_may_stand_still() {
        assert!(verify(&[bytes(9, Kind::Alive {}), bytes(9, Kind::Alive {})]).is_ok());
    }

    #[test]
    fn time_may_go_back_right_after_the_clock_entry() {
        let entries = [
            bytes(9, Kind::Alive {}),
            bytes(9, trouble("clock")),
            bytes(1, Kind::Alive {}),
            bytes(2, Kind::Alive {}),
        ];
        assert!(verify(&entries).is_ok());
    }

    #[test]
    fn p4_time_may_not_go_back_later_or_after_other_trouble() {
        let later = [
            bytes(9, trouble("clock")),
            bytes(9, Kind::Alive {}),
            bytes(1, Kind::Alive {}),
        ];
        assert_eq!(fault(&later).index, Some(2));
        let other = [bytes(9, trouble("disk-full")), bytes(1, Kind::Alive {})];
        assert_eq!(fault(&other).index, Some(1));
    }

    #[test]
    fn p4_a_time_in_another_form_is_found() {
        for time in [
            "2026-11-24T12:00:00Z",
            "2026-11-24T13:00:00.000000+01:00",
            "noon",
        ] {
            let text = format!(r#"{{"time":"{time}","kind":"alive"}}"#);
            assert!(
                fault(&[text.into_bytes()]).what.contains("RFC 3339"),
                "{time}"
            );
        }
    }
}

mod parts {
    use super::*;

    fn split() -> Vec<Vec<u8>> {
        let parts: Vec<_> = (1..=3)
            .map(|n| bytes(0, Kind::Intent(part("a", &[&n.to_string()], n, 3))))
            .collect();
        let leaves = parts.iter().map(|bytes| leaf_of(bytes)).collect();
        let close = bytes(1, Kind::Outcome(outcome(0, "a", leaves)));
        parts.into_iter().chain([close]).collect()
    }

    #[test]
    fn a_split_deletion_is_one() {
        let summary = verify(&split()).unwrap();
        assert_eq!((summary.entries, summary.deletions()), (4, 1));
    }

    #[test]
    fn p4_a_missing_part_is_found_whether_closed_or_open() {
        for missing in 0..3 {
            let mut entries = split();
            entries.remove(missing);
            assert!(verify(&entries).is_err(), "part {}, closed", missing + 1);
            entries.pop();
            assert!(verify(&entries).is_err(), "part {}, open", missing + 1);
        }
    }

    #[test]
    fn p4_swapped_parts_are_found() {
        let mut entries = split();
        entries.swap(1, 2);
        assert!(fault(&entries).what.contains("out of order"));
    }

    #[test]
    fn p4_an_outcome_that_leaves_out_a_part_is_found() {
        let mut entries = split();
        let leaves = vec![leaf_of(&entries[0]), leaf_of(&entries[1])];
        entries[3] = bytes(1, Kind::Outcome(outcome(0, "a", leaves)));
        assert_eq!(fault(&entries).index, Some(3));
    }

    #[test]
    fn p4_an_outcome_cannot_close_a_later_part_alone() {
        let mut entries = split();
        let leaves = vec![leaf_of(&entries[1])];
        entries[3] = bytes(1, Kind::Outcome(outcome(1, "a", leaves)));
        assert_eq!(fault(&entries).index, Some(3));
    }

    #[test]
    fn p4_a_group_without_numbers_is_found() {
        let mut odd = part("a", &["1"], 1, 2);
        odd.part = None;
        assert!(
            fault(&[bytes(0, Kind::Intent(odd))])
                .what
                .contains("go together")
        );
        let beyond = part("a", &["1"], 3, 2);
        assert!(verify(&[bytes(0, Kind::Intent(beyond))]).is_err());
    }
}

mod read_backs {
    use super::*;
    use crate::audit::entry::compose;
    use crate::audit::entry::compose::{test_closing, test_reconciled};
    use crate::audit::entry::{Entry, EntryHead, EntrySummary, Kind, Sent, Verdict};

    fn push(deletions: &mut Deletions, index: u64, kind: Kind) -> Result<(), String> {
        let time = "2026-11-24T12:00:00.000000Z".to_owned();
        let bytes = Entry { time, kind }.to_bytes();
        match EntryHead::decode(&bytes).unwrap().summary {
            EntrySummary::Outcome(outcome) => {
                // `test_closing` names no leaf.
                let open = Open {
                    request_id: outcome.request_id.clone().into_owned(),
                    parts: 0,
                    leaves: vec![],
                };
                deletions.open.insert(outcome.intent, open);
                deletions.close(&outcome)
            }
            EntrySummary::Reconciled(entry) => deletions.read_back(index, &entry),
            other => panic!("{other:?}"),
        }
    }

    /// The first fault in these entries after an unknown outcome of deletion 4.
    fn judged(kinds: impl IntoIterator<Item = Kind>) -> Option<String> {
        let mut deletions = Deletions::default();
        let unknown = test_closing(4, Verdict::Unknown, Sent::Unknown);
        let kinds = [unknown].into_iter().chain(kinds);
        (10..)
            .zip(kinds)
            .find_map(|(index, kind)| push(&mut deletions, index, kind).err())
    }

    fn parts() -> Vec<Kind> {
        let parts = compose::reconciled(test_reconciled(4, 5_000));
        parts.into_iter().map(Kind::Reconciled).collect()
    }

    #[test]
    fn a_read_back_is_of_a_deletion_in_doubt() {
        let of = |intent| Kind::Reconciled(test_reconciled(intent, 1));
        assert_eq!(judged([of(4), of(4)]), None);
        assert!(judged([of(5)]).unwrap().contains("no deletion in doubt"));
        let sent = test_closing(5, Verdict::Failed, Sent::Yes);
        assert_eq!(judged([sent, of(5)]), None);
        let unsent = test_closing(5, Verdict::Failed, Sent::No);
        assert!(judged([unsent, of(5)]).is_some());
        let deleted = test_closing(5, Verdict::Deleted, Sent::Yes);
        assert!(judged([deleted, of(5)]).is_some());
    }

    #[test]
    fn its_result_is_the_worst_of_its_users() {
        let mut whole = test_reconciled(4, 2);
        whole.users[1].result = Found::StillThere;
        assert!(judged([Kind::Reconciled(whole.clone())]).is_some());
        whole.result = Found::StillThere;
        assert_eq!(judged([Kind::Reconciled(whole.clone())]), None);
        whole.result = Found::CannotTell;
        assert!(judged([Kind::Reconciled(whole.clone())]).is_some());
        whole.users.clear();
        assert!(judged([Kind::Reconciled(whole)]).is_some());
    }

    #[test]
    fn its_parts_follow_each_other() {
        assert!(parts().len() > 2);
        assert_eq!(judged(parts()), None);
        let whole = parts();
        assert_eq!(judged(whole.into_iter().take(1)), None, "a crash cut it");
        assert!(judged(parts().into_iter().skip(1)).is_some());
        let mut swapped = parts();
        swapped.swap(0, 1);
        assert!(judged(swapped).is_some());
        let mut odd = test_reconciled(4, 1);
        odd.part = Some(1);
        assert!(judged([Kind::Reconciled(odd)]).is_some());
    }
}
