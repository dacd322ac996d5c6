//! What commands put on record: all of it in a row, answered once it is durable, told why it is not.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::audit::entry::compose::{test_intent, test_reconciled};
use crate::audit::entry::{Reason, Reconciled, unknown};

const PATIENT: Duration = Duration::from_secs(600);

/// An open trail with one deletion of unknown end, and its index.
async fn in_doubt() -> (Rig, u64) {
    let rig = Rig::open(PATIENT).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    let index = open.index();
    open.close(unknown(Reason::Timeout)).await.unwrap();
    (rig, index)
}

fn read_backs(entries: &[Entry]) -> Vec<(u64, &Reconciled)> {
    let found = (0..)
        .zip(entries)
        .filter_map(|(at, entry)| match &entry.kind {
            Kind::Reconciled(reconciled) => Some((at, reconciled)),
            _ => None,
        });
    found.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_read_back_stands_where_its_command_is_told_that_it_does() {
    let (rig, intent) = in_doubt().await;
    let index = rig.trail.reconciled(test_reconciled(intent, 1)).await;
    let after = rig.disk.crash(|| false);
    let seen = entries(&after, &rig.settings);
    let found = read_backs(&seen);
    assert_eq!(found.len(), 1);
    assert_eq!((Ok(found[0].0), found[0].1.intent), (index, intent));
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_large_read_back_stands_in_a_row_while_deletions_go_on() {
    let (rig, intent) = in_doubt().await;
    let deleting = rig.trail.clone();
    let load = tokio::spawn(async move {
        for _ in 0..50 {
            let open = deleting.begin(test_intent(1)).await.unwrap();
            open.close(deleted()).await.unwrap();
        }
    });
    let first = rig.trail.reconciled(test_reconciled(intent, 5_000)).await;
    load.await.unwrap();
    let seen = rig.entries();
    let found = read_backs(&seen);
    assert!(found.len() > 2);
    let places: Vec<u64> = found.iter().map(|(at, _)| *at).collect();
    let wanted: Vec<u64> = (first.unwrap()..).take(found.len()).collect();
    assert_eq!(places, wanted);
    let users: usize = found.iter().map(|(_, part)| part.users.len()).sum();
    assert_eq!(users, 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_failed_sync_is_told_to_the_command_and_stands_once() {
    let (rig, intent) = in_doubt().await;
    rig.disk.fail("sync_data", 0, 1, ErrorKind::Other);
    let closed = rig.trail.reconciled(test_reconciled(intent, 1)).await;
    assert_eq!(closed.unwrap_err().cause, Cause::SyncFailed);
    opens(&rig.trail).await;
    assert_eq!(read_backs(&rig.entries()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_while_nothing_can_be_written_a_command_is_told_at_once() {
    let (rig, intent) = in_doubt().await;
    rig.disk.fail("sync_data", 0, usize::MAX, ErrorKind::Other);
    rig.trail.begin(test_intent(1)).await.unwrap_err();
    let closed = rig.trail.reconciled(test_reconciled(intent, 1)).await;
    assert_eq!(closed.unwrap_err().cause, Cause::SyncFailed);
    rig.disk.heal();
    opens(&rig.trail).await;
    assert!(read_backs(&rig.entries()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_holds_its_lock_says_so_until_it_has_stopped() {
    let (rig, _) = in_doubt().await;
    let holding = rig.trail.holding();
    assert!(holding.borrow().is_some());
    let second = trail(&rig.disk, &rig.settings);
    second.opened().await;
    assert!(second.holding().borrow().is_none());
    rig.trail.stop().await;
    assert!(holding.borrow().is_none());
}
