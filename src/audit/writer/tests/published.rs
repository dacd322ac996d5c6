//! Each step of opening, publishing and pruning fails once, done and not done, and then the power is lost. Every
//! checkpoint that a reader saw stays a part of the log.

use std::time::Duration;

use super::steps::{coin, story};
use super::*;
use crate::audit::log::merkle::{leaf, root_of};
use crate::audit::publish::tests::published_in;
use crate::audit::run_all;

const PATIENT: Duration = Duration::from_secs(600);

/// The newest checkpoint that can be seen, and its log.
fn newest(disk: &FakeDisk, settings: &Settings) -> Checkpoint {
    let key = Key::read(&settings.key_file).unwrap();
    let root = Disk::folder(disk, &settings.directory, None).unwrap();
    let bytes = read_log_file(&*root, "checkpoint").unwrap().unwrap();
    Checkpoint::open(&bytes, key.verifier()).unwrap()
}

/// Opens the trail after a crash. It publishes all entries before it takes deletions, and the published log extends
/// the checkpoint `seen`.
async fn goes_on(disk: &FakeDisk, settings: &Settings, seen: &Checkpoint, case: &str) -> Trail {
    let again = trail(disk, settings);
    opens(&again).await;
    let key = Key::read(&settings.key_file).unwrap();
    let root = Disk::folder(disk, &settings.directory, None).unwrap();
    let log = published_in(root, &key).unwrap();
    assert_eq!(log.entries.len(), entries(disk, settings).len(), "{case}");
    let covered = usize::try_from(seen.size).unwrap();
    let leaves: Vec<_> = log.entries[..covered].iter().map(|e| leaf(e)).collect();
    assert_eq!(root_of(&leaves), seen.root, "{case}");
    again
}

/// A trail with a history of several segments, as a crash leaves it.
async fn history() -> (FakeDisk, Rig) {
    let rig = Rig::open(PATIENT).await;
    for _ in 0..3 {
        story(&rig.trail).await;
    }
    published(&rig).await;
    story(&rig.trail).await;
    (rig.disk.crash(coin(7)), rig)
}

async fn check(disk: FakeDisk, settings: Settings, seen: Checkpoint, step: usize, persisted: bool) {
    disk.fail_step(step, persisted);
    let first = trail(&disk, &settings);
    opens(&first).await;
    story(&first).await;
    // If the story did not reach the failing step, the checks below must not reach it either.
    disk.heal();
    let visible = newest(&disk, &settings);
    assert!(visible.size >= seen.size);
    for seed in 0..2 {
        let case = format!("step {step}, persisted {persisted}, seed {seed}");
        let after = disk.crash(coin(seed + 3 * step as u64));
        let again = goes_on(&after, &settings, &visible, &case).await;
        let visible = newest(&after, &settings);
        drop(again);
        let after = after.crash(coin(seed + 5 * step as u64));
        goes_on(&after, &settings, &visible, &case).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_any_step_of_recovery_publishing_and_pruning_may_fail() {
    let (disk, rig) = history().await;
    let seen = newest(&disk, &rig.settings);
    let counted = disk.crash(|| true);
    let before = counted.steps();
    let whole = goes_on(&counted, &rig.settings, &seen, "no step").await;
    story(&whole).await;
    let steps = counted.steps() - before;
    assert!(counted.count("remove") > 3, "segments are pruned");
    drop(whole);
    let mut checks = Vec::new();
    // All steps take minutes. Of each dozen, one fails after it took effect and one before.
    for step in 0..steps {
        for persisted in [false, true] {
            if step % 12 != usize::from(persisted) * 6 {
                continue;
            }
            let (disk, settings, seen) = (disk.clone(), rig.settings.clone(), seen.clone());
            // Each disk is copied when its check begins.
            checks.push(async move {
                check(disk.crash(|| true), settings, seen, step, persisted).await;
            });
        }
    }
    run_all(checks).await;
}
