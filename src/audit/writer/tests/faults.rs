//! Failed syncs, late syncs, full and read-only disks.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::audit::disk::Access;
use crate::audit::entry::compose::test_intent;
use crate::audit::entry::{Caller, Cuts, Refused};

const PATIENT: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn p1_p3_a_failed_sync_of_an_intent_closes_it_as_not_sent() {
    let rig = Rig::open(PATIENT).await;
    rig.disk.fail("sync_data", 0, 1, ErrorKind::Other);
    let found = rig.trail.begin(test_intent(1)).await.unwrap_err();
    assert_eq!(found.cause, Cause::SyncFailed);
    opens(&rig.trail).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
    let seen = rig.entries();
    let expected = [
        "started", "intent", "outcome", "trouble", "trouble", "intent", "outcome",
    ];
    assert_eq!(kinds(&seen), expected);
    let ended = &endings(&seen)[&1];
    assert_eq!((ended.outcome, ended.sent), (Verdict::Failed, Sent::No));
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p2_an_outcome_whose_sync_fails_is_recorded_once_later() {
    let rig = Rig::open(PATIENT).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    let index = open.index();
    rig.disk.fail("sync_data", 0, 1, ErrorKind::Other);
    let unconfirmed = open.close(deleted()).await.unwrap_err();
    assert_eq!(unconfirmed.cause, Cause::SyncFailed);
    let key = Key::read(&rig.settings.key_file).unwrap();
    let seen = rig.entries();
    let leaf = crate::audit::log::merkle::leaf(&seen[1].to_bytes());
    assert_eq!(
        unconfirmed.receipt.verify(key.verifier()),
        Some((index, leaf))
    );
    opens(&rig.trail).await;
    assert_eq!(endings(&rig.entries())[&index].outcome, Verdict::Deleted);
    assert_eq!(rig.trail.state().open_intents, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_after_two_failed_syncs_deletions_wait_for_a_good_one() {
    let rig = Rig::open(PATIENT).await;
    let kept = rig.trail.begin(test_intent(1)).await.unwrap();
    rig.disk.fail("sync_data", 0, usize::MAX, ErrorKind::Other);
    rig.trail.begin(test_intent(1)).await.unwrap_err();
    closes(&rig.trail, Cause::SyncFailed).await;
    // The writer keeps the outcome in memory and answers its caller at once.
    assert_eq!(
        kept.close(deleted()).await.unwrap_err().cause,
        Cause::SyncFailed
    );
    assert_eq!(
        rig.trail.begin(test_intent(1)).await.unwrap_err().cause,
        Cause::SyncFailed
    );
    let (begun, used) = (std::time::Instant::now(), rig.disk.count("sync_data"));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    // No pause is shorter than a second.
    let tries = rig.disk.count("sync_data") - used;
    assert!(tries as u64 <= begun.elapsed().as_secs() + 1, "{tries}");
    rig.disk.heal();
    opens(&rig.trail).await;
    let seen = rig.entries();
    assert_eq!(endings(&seen)[&1].outcome, Verdict::Deleted);
    assert_eq!(endings(&seen)[&2].outcome, Verdict::Failed);
    assert_eq!(endings(&seen).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_an_outage_ends_even_if_the_key_file_is_gone() {
    let rig = Rig::open(PATIENT).await;
    std::fs::remove_file(&rig.settings.key_file).unwrap();
    rig.disk.fail("sync_data", 0, 1, ErrorKind::Other);
    rig.trail.begin(test_intent(1)).await.unwrap_err();
    opens(&rig.trail).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_late_sync_refuses_at_once_and_closes_its_intents_first() {
    let rig = Rig::open(Duration::from_secs(2)).await;
    let kept = rig.trail.begin(test_intent(1)).await.unwrap();
    rig.disk.hold(true);
    let (late, unconfirmed) = tokio::join!(rig.trail.begin(test_intent(1)), kept.close(deleted()));
    assert_eq!(late.unwrap_err().cause, Cause::SyncLate);
    assert_eq!(unconfirmed.unwrap_err().cause, Cause::SyncLate);
    wait(|| {
        rig.trail
            .state()
            .closed
            .is_some_and(|c| c.cause == Cause::SyncLate)
    })
    .await;
    let asked = tokio::time::timeout(Duration::ZERO, rig.trail.begin(test_intent(1)));
    let refused = asked.await.expect("refused without waiting");
    assert_eq!(refused.unwrap_err().cause, Cause::SyncLate);
    rig.disk.hold(false);
    opens(&rig.trail).await;
    rig.trail
        .begin(test_intent(1))
        .await
        .unwrap()
        .close(deleted())
        .await
        .unwrap();
    let seen = rig.entries();
    let endings = endings(&seen);
    assert_eq!(endings[&1].outcome, Verdict::Deleted);
    let intents = kinds(&seen).iter().filter(|k| *k == "intent").count();
    assert_eq!(endings.len(), intents, "every intent is closed");
    let last_new = kinds(&seen).iter().rposition(|k| k == "intent").unwrap();
    let ended = kinds(&seen).iter().rposition(|k| k == "trouble").unwrap();
    assert!(
        ended < last_new,
        "closings and the end of the trouble come before anything new"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_late_sync_that_fails_is_a_failed_one() {
    let rig = Rig::open(Duration::from_secs(2)).await;
    rig.disk.hold(true);
    rig.disk.fail("sync_data", 0, 2, ErrorKind::Other);
    assert_eq!(
        rig.trail.begin(test_intent(1)).await.unwrap_err().cause,
        Cause::SyncLate
    );
    rig.disk.hold(false);
    closes(&rig.trail, Cause::SyncFailed).await;
    opens(&rig.trail).await;
    assert_eq!(endings(&rig.entries())[&1].sent, Sent::No);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_no_room_for_a_segment_refuses_deletions_not_outcomes() {
    let disk = FakeDisk::default();
    // While the trail is opened, `verifier` and the first segment are made, then a bundle, a tile, the
    // checkpoint and the seen file; the spare behind them.
    disk.fail("sync_all", 6, usize::MAX, ErrorKind::StorageFull);
    let rig = Rig::on(&disk, PATIENT);
    rig.trail.opened().await;
    closes(&rig.trail, Cause::DiskFull).await;
    assert_eq!(
        rig.trail.begin(test_intent(1)).await.unwrap_err().cause,
        Cause::DiskFull
    );
    rig.trail.refused(refusal());
    rig.disk.heal();
    opens(&rig.trail).await;
    rig.trail
        .begin(test_intent(1))
        .await
        .unwrap()
        .close(deleted())
        .await
        .unwrap();
    let seen = rig.entries();
    assert_eq!(
        kinds(&seen),
        ["started", "trouble", "trouble", "intent", "outcome"]
    );
    let Kind::Trouble(ended) = &seen[2].kind else {
        panic!("no trouble")
    };
    assert_eq!(
        (ended.cause.as_str(), ended.state.as_str(), ended.refused),
        ("disk-full", "ended", 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_read_only_or_full_disk_at_start_is_named_and_got_over() {
    for (kind, cause) in [
        (ErrorKind::ReadOnlyFilesystem, Cause::ReadOnly),
        (ErrorKind::StorageFull, Cause::DiskFull),
        (ErrorKind::Other, Cause::SyncFailed),
    ] {
        let disk = FakeDisk::default();
        disk.fail("open", 0, usize::MAX, kind);
        let rig = Rig::on(&disk, PATIENT);
        rig.trail.opened().await;
        assert_eq!(rig.trail.state().closed.unwrap().cause, cause);
        rig.disk.heal();
        opens(&rig.trail).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_while_locked_nothing_is_written() {
    let first = Rig::open(PATIENT).await;
    let writes = [
        "write",
        "clear",
        "rename",
        "remove",
        "sync_all",
        "sync_data",
        "sync_folder",
    ];
    let count = || {
        writes
            .iter()
            .map(|step| first.disk.count(step))
            .sum::<usize>()
    };
    // Nothing of the first one runs any more: its lock alone is still held.
    first.trail.stop().await;
    let root = Disk::folder(&first.disk, &first.settings.directory, None).unwrap();
    let lock = root.open("lock", Access::Write).unwrap();
    wait(|| lock.lock().unwrap()).await;
    let before = count();
    let second = trail(&first.disk, &first.settings);
    closes(&second, Cause::Locked).await;
    let tried = first.disk.count("lock");
    wait(|| first.disk.count("lock") > tried + 1).await;
    assert_eq!(count(), before);
    drop(lock);
    opens(&second).await;
}

pub(super) fn refusal() -> Refused {
    Refused {
        request_id: "r".into(),
        operation: "users.delete".into(),
        account: "1".into(),
        users: vec!["7".into()],
        user_count: 1,
        body_sha256: None,
        caller: Caller::default(),
        token_id: "t".into(),
        if_match: None,
        domain: None,
        client_ip: "::1".into(),
        config: "c".into(),
        code: "audit-unavailable".into(),
        rule: None,
        cut: Cuts::new(),
    }
}
