//! One flush of several batches: the first is late, a later one fails; a large deletion among them.

use std::io::ErrorKind;

use tokio::task::JoinSet;

use super::*;
use crate::audit::OpenIntent;
use crate::audit::entry::Trouble;
use crate::audit::entry::compose::test_intent;

/// So many closings as long as they can be are more than two batches.
const CLOSINGS: usize = 1_000;

async fn open_intents(trail: &Trail, count: usize) -> Vec<OpenIntent> {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let trail = trail.clone();
        tasks.spawn(async move { trail.begin(test_intent(1)).await.unwrap() });
    }
    tasks.join_all().await
}

fn long() -> Ending {
    Ending {
        revision: Some("\u{1}".repeat(256)),
        ..deleted()
    }
}

/// The syncs hang until that many closings and a large deletion wait for the same round.
async fn crowded(rig: &Rig, fail: bool) -> JoinSet<Result<(), Cause>> {
    let open = open_intents(&rig.trail, CLOSINGS).await;
    rig.disk.hold(true);
    let mut tasks = JoinSet::new();
    let (filler, written) = (rig.trail.clone(), rig.disk.count("write"));
    tasks.spawn(async move { outcome(filler.begin(test_intent(1)).await.map(drop)) });
    wait(|| rig.disk.count("write") > written).await;
    for open in open {
        tasks.spawn(async move {
            let closed = open.close(long()).await;
            closed.map(drop).map_err(|unconfirmed| unconfirmed.cause)
        });
    }
    let large = rig.trail.clone();
    tasks.spawn(async move { outcome(large.begin(test_intent(8_000)).await.map(drop)) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    if fail {
        // Of the filler's batch and the crowd's first two, the last.
        rig.disk.fail("sync_data", 2, 1, ErrorKind::Other);
    }
    // The filler's sync comes back in time; the first of the crowd's hangs.
    rig.disk.let_one_pass();
    tasks
}

fn outcome(result: Result<(), crate::audit::status::Unavailable>) -> Result<(), Cause> {
    result.map_err(|closed| closed.cause)
}

fn troubles(seen: &[Entry]) -> Vec<Trouble> {
    let of = |entry: &Entry| match &entry.kind {
        Kind::Trouble(trouble) => Some(trouble.clone()),
        _ => None,
    };
    seen.iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_large_deletion_behind_long_closings_is_one_batch() {
    let rig = Rig::open(Duration::from_secs(600)).await;
    let tasks = crowded(&rig, false).await;
    rig.disk.hold(false);
    for told in tasks.join_all().await {
        assert_eq!(told, Ok(()));
    }
    rig.trail.stop().await;
    let root = Disk::folder(&rig.disk, &rig.settings.directory, None).unwrap();
    let reads = journal::read_folder(root.folder(JOURNAL, None).unwrap(), None).unwrap();
    let mut places = Vec::new();
    for read in reads.map(Result::unwrap) {
        if let Kind::Intent(intent) = serde_json::from_slice::<Entry>(&read.bytes).unwrap().kind {
            places.extend(intent.part.map(|_| read.place));
        }
    }
    assert!(places.len() > 1, "it has several parts");
    assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p3_a_sync_late_then_failed_grants_nothing_and_is_recorded() {
    let rig = Rig::open(Duration::from_secs(6)).await;
    let tasks = crowded(&rig, true).await;
    // The sync is late, and all callers joined the queue before it began.
    closes(&rig.trail, Cause::SyncLate).await;
    let told = tasks.join_all().await;
    rig.disk.hold(false);
    let late = told.iter().filter(|t| **t == Err(Cause::SyncLate)).count();
    assert!(late > CLOSINGS, "{late}");
    opens(&rig.trail).await;
    rig.trail.stop().await;
    let seen = rig.entries();
    let intents = seen.iter().filter_map(|entry| match &entry.kind {
        Kind::Intent(intent) => Some(intent.part.is_none_or(|part| part == 1)),
        _ => None,
    });
    assert_eq!(endings(&seen).len(), intents.filter(|first| *first).count());
    let causes: Vec<String> = troubles(&seen)
        .into_iter()
        .map(|t| t.cause + " " + &t.state)
        .collect();
    let both = [
        "sync-late began",
        "sync-late ended",
        "sync-failed began",
        "sync-failed ended",
    ];
    assert_eq!(causes, both);
}
