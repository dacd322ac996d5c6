//! Tests of the trail on the real disk, through its handle.

use super::*;
use crate::audit::entry::compose::test_intent;
use crate::audit::entry::{Caller, Cuts, Entry, Sent, Verdict};
use crate::audit::journal::segment;
use crate::audit::log::key::{Key, keygen};
use crate::audit::log::merkle::leaf;
use crate::audit::publish::tests::all;
use crate::audit::test_folder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::Path;

pub(crate) fn settings(folder: &Path) -> Settings {
    let key_file = folder.join("audit.key");
    if !key_file.exists() {
        keygen("lychgate.test/edge-1", &key_file).unwrap();
    }
    Settings {
        directory: folder.join("audit"),
        origin: "lychgate.test/edge-1".into(),
        key_file,
        sync_timeout: Duration::from_secs(600),
        segment_bytes: 256 << 10,
        space: crate::audit::status::space::Levels::default(),
        seen_file: folder.join("audit.key.seen"),
        heartbeat: Duration::from_secs(3_600),
    }
}

async fn open(settings: &Settings) -> Trail {
    let trail = Trail::open(settings.clone(), Clock::system(), Metrics::new());
    trail.opened().await;
    trail
}

pub(crate) fn deleted() -> Ending {
    Ending {
        outcome: Verdict::Deleted,
        reason: None,
        sent: Sent::Yes,
        status: Some(200),
        revision: Some("17".into()),
        attempts: 1,
    }
}

fn entries(settings: &Settings) -> Vec<Entry> {
    let root = RealDisk.folder(&settings.directory, None).unwrap();
    let all = all(root);
    all.iter()
        .map(|bytes| serde_json::from_slice(bytes).unwrap())
        .collect()
}

fn kinds(entries: &[Entry]) -> Vec<String> {
    let kind = |e: &Entry| {
        serde_json::to_value(e).unwrap()["kind"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    entries.iter().map(kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_intent_and_outcome_are_durable_before_the_answer() {
    let folder = test_folder("trail");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    assert_eq!(trail.state().closed, None);
    let open = trail.begin(test_intent(1)).await.unwrap();
    let index = open.index();
    let seen = entries(&settings);
    assert!(matches!(seen[index as usize].kind, Kind::Intent(_)));
    let receipt = open.close(deleted()).await.unwrap();
    let seen = entries(&settings);
    assert_eq!(kinds(&seen), ["started", "intent", "outcome"]);
    let key = Key::read(&settings.key_file).unwrap();
    let found = receipt.verify(key.verifier()).unwrap();
    assert_eq!(found, (index, leaf(&seen[2].to_bytes())));
    let Kind::Outcome(outcome) = &seen[2].kind else {
        panic!("no outcome")
    };
    assert_eq!(outcome.intent, index);
    assert_eq!(outcome.leaves, [STANDARD.encode(leaf(&seen[1].to_bytes()))]);
    trail.stop().await;
    assert_eq!(kinds(&entries(&settings)).last().unwrap(), "stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_recovery_closes_open_intents_once_before_new_entries() {
    let folder = test_folder("trail-crash");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    let first = trail.begin(test_intent(1)).await.unwrap();
    let index = first.index();
    // The copy has the state that a crash would leave at this point.
    let copy = folder.path().join("copy");
    copy_folder(&settings.directory, &copy);
    let after = Settings {
        directory: copy,
        ..settings.clone()
    };
    for _ in 0..3 {
        let again = open(&after).await;
        assert_eq!(again.state().closed, None);
        again.stop().await;
    }
    let seen = entries(&after);
    let closings: Vec<_> = seen
        .iter()
        .filter_map(|e| match &e.kind {
            Kind::Outcome(o) => Some((o.intent, o.ending.outcome, o.ending.reason)),
            _ => None,
        })
        .collect();
    assert_eq!(closings, [(index, Verdict::Unknown, Some(Reason::Crash))]);
    assert_eq!(
        kinds(&seen)[..4],
        ["started", "intent", "outcome", "started"]
    );
    drop(first);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_second_opener_writes_nothing_while_the_first_runs() {
    let folder = test_folder("trail-locked");
    let settings = settings(folder.path());
    let first = open(&settings).await;
    first
        .begin(test_intent(1))
        .await
        .unwrap()
        .close(deleted())
        .await
        .unwrap();
    let before = entries(&settings).len();
    let second = open(&settings).await;
    let found = second.begin(test_intent(1)).await.unwrap_err();
    assert_eq!(found.cause, Cause::Locked);
    assert_eq!(entries(&settings).len(), before);
    first.stop().await;
    for _ in 0..4_800 {
        if second.state().closed.is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let open = second.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
    let tail = kinds(&entries(&settings))[before..].to_vec();
    assert_eq!(tail, ["stopped", "started", "trouble", "intent", "outcome"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_batch_is_on_record_as_parts_with_one_outcome() {
    let folder = test_folder("trail-parts");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    let open = trail.begin(test_intent(5_000)).await.unwrap();
    open.close(deleted()).await.unwrap();
    let seen = entries(&settings);
    assert_eq!(
        kinds(&seen),
        ["started", "intent", "intent", "intent", "outcome"]
    );
    let Kind::Outcome(outcome) = &seen[4].kind else {
        panic!("no outcome")
    };
    assert_eq!((outcome.intent, outcome.leaves.len()), (1, 3));
    assert_eq!(trail.state().open_intents, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p6_a_dropped_request_leaves_no_intent_open() {
    let folder = test_folder("trail-gone");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    drop(trail.begin(test_intent(1)).await.unwrap());
    let begun = trail.clone();
    let task = tokio::spawn(async move { begun.begin(test_intent(1)).await.map(drop) });
    task.abort();
    // On a busy machine the task may end before it is aborted.
    let granted = task.await.is_ok_and(|began| began.is_ok());
    trail.stop().await;
    let seen = entries(&settings);
    let intents = kinds(&seen).iter().filter(|k| *k == "intent").count();
    let outcomes = kinds(&seen).iter().filter(|k| *k == "outcome").count();
    assert_eq!(intents, outcomes);
    let reasons = seen.iter().filter_map(|e| match &e.kind {
        Kind::Outcome(o) => Some(o.ending.reason),
        _ => None,
    });
    let internal = reasons.filter(|r| *r == Some(Reason::Internal)).count();
    assert_eq!(internal, 1 + usize::from(granted));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_config_comes_once_before_the_first_intent_naming_it() {
    let folder = test_folder("trail-config");
    let settings = settings(folder.path());
    let trail = Trail::open(settings.clone(), Clock::system(), Metrics::new());
    let config = |hash: &str| ConfigInForce {
        config: hash.into(),
        contracts: [].into(),
    };
    trail.config(config("a"));
    trail.opened().await;
    trail.config(config("a"));
    trail.config(config("b"));
    drop(trail.begin(test_intent(1)).await.unwrap());
    let seen = kinds(&entries(&settings));
    assert_eq!(seen[..4], ["started", "config", "config", "intent"]);
}

fn refused(subject: &str) -> Refused {
    Refused {
        request_id: "r".into(),
        operation: "users.delete".into(),
        account: "1".into(),
        users: vec!["7".into()],
        user_count: 1,
        body_sha256: None,
        caller: Caller {
            issuer: "i".into(),
            subject: subject.into(),
            client: None,
        },
        token_id: "t".into(),
        if_match: None,
        domain: None,
        client_ip: "::1".into(),
        config: "c".into(),
        code: "if-match-missing".into(),
        rule: None,
        cut: Cuts::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_is_summed_up_and_none_is_lost() {
    let folder = test_folder("trail-flood");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    for _ in 0..1_000 {
        trail.refused(refused("robot"));
        trail.turned_away("token-missing");
    }
    trail.stop().await;
    let seen = entries(&settings);
    let singly = kinds(&seen).iter().filter(|k| *k == "refused").count();
    assert_eq!(singly, 60);
    let sums: Vec<_> = seen
        .iter()
        .filter_map(|e| match &e.kind {
            Kind::TurnedAway(sum) => Some(sum.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(sums.len(), 1);
    assert_eq!(sums[0].known_callers["if-match-missing"], 940);
    assert_eq!(sums[0].unknown_callers["token-missing"], 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_deletions_share_syncs_and_fill_segments() {
    let folder = test_folder("trail-many");
    let settings = settings(folder.path());
    let metrics = Metrics::new();
    let trail = Trail::open(settings.clone(), Clock::system(), metrics.clone());
    trail.opened().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let trail = trail.clone();
        tasks.spawn(async move {
            for _ in 0..40 {
                let open = trail.begin(test_intent(20)).await.unwrap();
                open.close(deleted()).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    trail.stop().await;
    let seen = entries(&settings);
    assert_eq!(seen.len(), 2 * 32 * 40 + 2);
    // The pruner has removed segments that a checkpoint covers.
    let names = std::fs::read_dir(settings.directory.join("journal")).unwrap();
    let newest = names
        .filter_map(|name| segment::number(name.unwrap().file_name().to_str()?))
        .max();
    assert!(newest > Some(3), "{newest:?}");
    assert_eq!(metrics.audit_entries.get(), seen.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_or_origin_makes_the_folder_unusable() {
    let folder = test_folder("trail-key");
    let settings = settings(folder.path());
    open(&settings).await.stop().await;
    let other = folder.path().join("other.key");
    keygen("lychgate.test/edge-1", &other).unwrap();
    let stranger = open(&Settings {
        key_file: other,
        ..settings.clone()
    })
    .await;
    assert_eq!(stranger.state().closed.unwrap().cause, Cause::KeyUnusable);
    let renamed = open(&Settings {
        origin: "another".into(),
        ..settings.clone()
    })
    .await;
    assert_eq!(renamed.state().closed.unwrap().cause, Cause::KeyUnusable);
    let missing = open(&Settings {
        key_file: "/no/such/key".into(),
        ..settings
    })
    .await;
    assert_eq!(missing.state().closed.unwrap().cause, Cause::KeyUnusable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_verifier_file_is_rewritten() {
    let folder = test_folder("trail-torn-verifier");
    let settings = settings(folder.path());
    let key = Key::read(&settings.key_file).unwrap();
    let line = format!("{}\n", key.verifier());
    std::fs::create_dir(&settings.directory).unwrap();
    let path = settings.directory.join("verifier");
    for torn in [&line.as_bytes()[..9], &[0; 40], &[]] {
        std::fs::write(&path, torn).unwrap();
        let trail = open(&settings).await;
        assert_eq!(trail.state().closed, None);
        trail.stop().await;
        assert_eq!(std::fs::read(&path).unwrap(), line.as_bytes());
    }
    std::fs::write(&path, "another+key").unwrap();
    let closed = open(&settings).await.state().closed;
    assert_eq!(closed.map(|closed| closed.cause), Some(Cause::KeyUnusable));
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_link_or_folder_in_place_of_a_file_is_damage() {
    let folder = test_folder("trail-no-file");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    let deletion = trail.begin(test_intent(1)).await.unwrap();
    deletion.close(deleted()).await.unwrap();
    trail.stop().await;
    let held = folder.path().join("held");
    for name in ["checkpoint", "journal/0000000001"] {
        let path = settings.directory.join(name);
        std::fs::rename(&path, &held).unwrap();
        std::os::unix::fs::symlink(&held, &path).unwrap();
        assert_eq!(cause_at_start(&settings).await, Cause::Damaged, "{name}");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(cause_at_start(&settings).await, Cause::Damaged, "{name}");
        std::fs::remove_dir(&path).unwrap();
        std::fs::rename(&held, &path).unwrap();
    }
    let trail = open(&settings).await;
    assert_eq!(trail.state().closed, None);
    trail.stop().await;
}

/// The cause for which a start refuses deletions.
async fn cause_at_start(settings: &Settings) -> Cause {
    let trail = open(settings).await;
    let closed = trail.state().closed.unwrap();
    trail.stop().await;
    closed.cause
}
