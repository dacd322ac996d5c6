//! Tests of the cuts and splits, and samples for other tests.

use super::*;
use crate::audit::entry::{Actor, Caller, Entry, Found, Outcome, Sent, Verdict, not_sent};
use crate::clock::Time;

pub(crate) fn intent(users: usize) -> Intent {
    Intent {
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".into(),
        operation: "users.delete_batch".into(),
        account: "12345678".into(),
        users: (0..users)
            .map(|i| (9_000_000_000_000_000_000 + i as u64).to_string())
            .collect(),
        caller: Caller {
            issuer: "https://login.example.com/".into(),
            subject: "robot".into(),
            client: None,
        },
        token_id: "jti-1".into(),
        if_match: Some("17".into()),
        domain: "https://va.example.com".into(),
        client_ip: "127.0.0.1".into(),
        config: "ab".repeat(32),
        rule: None,
        group: None,
        part: None,
        parts: None,
        cut: Cuts::new(),
    }
}

pub(crate) fn test_reconciled(intent: u64, users: usize) -> Reconciled {
    let user = |number| UserFound {
        user: format!("{}", 1_000_000_000_000_000_000_u64 + number),
        result: Found::Deleted,
        status: Some(404),
        revision: Some("12".into()),
    };
    Reconciled {
        intent,
        request_id: "r".into(),
        result: Found::Deleted,
        status: Some(404),
        revision: Some("12".into()),
        host: "upstream.test".into(),
        users: (0..users as u64).map(user).collect(),
        actor: Actor { uid: 0 },
        reason: "asked".into(),
        part: None,
        parts: None,
        cut: Cuts::new(),
    }
}

/// The outcome entry of an intent.
pub(crate) fn test_closing(intent: u64, outcome: Verdict, sent: Sent) -> Kind {
    Kind::Outcome(Outcome {
        intent,
        leaves: vec![],
        request_id: "r".into(),
        ending: Ending {
            outcome,
            sent,
            ..not_sent()
        },
        cut: Cuts::new(),
    })
}

#[test]
fn a_small_deletion_is_one_intent_of_one_block() {
    let parts = intents(intent(1));
    assert_eq!(
        (parts.len(), parts[0].group.as_ref(), parts[0].part),
        (1, None, None)
    );
    let bytes = stamp(&Time(0).to_string(), &body(&Kind::Intent(parts[0].clone())));
    assert!(bytes.len() < 1_000);
}

#[test]
fn the_largest_batch_is_split_with_every_user_in_order() {
    let whole = intent(5_000);
    let parts = intents(whole.clone());
    assert_eq!(parts.len(), 3);
    let joined: Vec<_> = parts.iter().flat_map(|p| p.users.clone()).collect();
    assert_eq!(joined, whole.users);
    for (part, number) in parts.iter().zip(1..) {
        assert_eq!((part.part, part.parts), (Some(number), Some(3)));
        assert_eq!(part.group.as_deref(), Some(&*whole.request_id));
        assert!(stamp(&Time(0).to_string(), &body(&Kind::Intent(part.clone()))).len() <= MAX_BYTES);
    }
}

#[test]
fn texts_from_outside_are_cut_and_their_digest_kept() {
    let mut long = intent(1);
    long.caller.subject = "é".repeat(200);
    long.if_match = Some("x".repeat(257));
    let cut = intents(long.clone()).remove(0);
    assert_eq!(cut.caller.subject, "é".repeat(128));
    let note = &cut.cut["caller.subject"];
    assert_eq!(note.bytes, 400);
    assert_eq!(note.sha256, hex(&sha256(long.caller.subject.as_bytes())));
    assert_eq!(cut.cut["if_match"].bytes, 257);
    assert_eq!(cut.cut.len(), 2);
}

#[test]
fn the_worst_texts_stay_within_an_entry() {
    let mut worst = intent(0);
    let text = "\u{1}".repeat(10_000);
    worst.users = vec![text.clone(); 300];
    worst.caller = Caller {
        issuer: text.clone(),
        subject: text.clone(),
        client: Some(text.clone()),
    };
    worst.if_match = Some(text);
    for part in intents(worst).iter().take(3) {
        let bytes = body(&Kind::Intent(Intent {
            cut: Cuts::new(),
            ..part.clone()
        }))
        .len();
        assert!(bytes <= MAX_BYTES, "{bytes}");
    }
}

#[test]
fn a_stamped_body_is_the_entry_as_serde_writes_it() {
    let kind = Kind::Intent(intents(intent(2)).remove(0));
    let entry = Entry {
        time: Time(5).to_string(),
        kind,
    };
    let bytes = stamp(&Time(5).to_string(), &body(&entry.kind));
    assert_eq!(bytes, entry.to_bytes());
    assert_eq!(serde_json::from_slice::<Entry>(&bytes).unwrap(), entry);
    let alive = Entry {
        time: Time(5).to_string(),
        kind: Kind::Alive {},
    };
    assert_eq!(
        stamp(&Time(5).to_string(), &body(&alive.kind)),
        alive.to_bytes()
    );
    assert_eq!(
        serde_json::from_slice::<Entry>(&alive.to_bytes()).unwrap(),
        alive
    );
}

#[test]
fn a_refusal_names_twenty_users_and_their_count() {
    let mut entry = Refused {
        request_id: "r".into(),
        operation: "users.delete_batch".into(),
        account: "1".into(),
        users: vec!["7".into(); 50],
        user_count: 0,
        body_sha256: None,
        caller: Caller::default(),
        token_id: "t".into(),
        if_match: None,
        domain: None,
        client_ip: "::1".into(),
        config: "c".into(),
        code: "if-match-missing".into(),
        rule: None,
        cut: Cuts::new(),
    };
    refused(&mut entry);
    assert_eq!((entry.users.len(), entry.user_count), (20, 50));
}

fn stamped(part: &Reconciled) -> usize {
    stamp(
        &Time(i64::MAX / 4).to_string(),
        &body(&Kind::Reconciled(part.clone())),
    )
    .len()
}

#[test]
fn one_user_is_one_entry() {
    let parts = reconciled(test_reconciled(4, 1));
    assert_eq!(parts, vec![test_reconciled(4, 1)]);
}

#[test]
fn the_largest_batch_is_split_and_no_user_is_lost() {
    let whole = test_reconciled(4, 5_000);
    let parts = reconciled(whole.clone());
    assert!(parts.len() > 1 && parts.iter().all(|p| stamped(p) <= MAX_BYTES));
    let count = u32::try_from(parts.len()).unwrap();
    let numbers: Vec<_> = parts.iter().map(|p| (p.part, p.parts)).collect();
    let wanted: Vec<_> = (1..=count).map(|n| (Some(n), Some(count))).collect();
    assert_eq!(numbers, wanted);
    let users: Vec<_> = parts.into_iter().flat_map(|p| p.users).collect();
    assert_eq!(users, whole.users);
}

#[test]
fn hostile_revisions_are_cut_and_fit() {
    let mut whole = test_reconciled(4, 1_000);
    whole.revision = Some("\u{1}".repeat(5_000));
    for user in &mut whole.users {
        user.revision.clone_from(&whole.revision);
    }
    let parts = reconciled(whole);
    assert!(parts.iter().all(|p| stamped(p) <= MAX_BYTES));
    assert_eq!(parts[0].cut["users.0.revision"].bytes, 5_000);
    assert_eq!(parts[0].users[0].revision.as_ref().unwrap().len(), 256);
}
