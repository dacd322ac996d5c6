//! Every step of the disk fails once, done and not done, and a crash follows: no answer was a lie.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::audit::entry::compose::test_intent;
use crate::audit::run_all;

const PATIENT: Duration = Duration::from_secs(600);

/// The answers that callers got.
#[derive(Default)]
pub(super) struct Told {
    pub(super) granted: Vec<u64>,
    pub(super) confirmed: Vec<u64>,
}

/// Three deletions, the second of them with many users; faults are got over in between.
pub(super) async fn story(trail: &Trail) -> Told {
    let mut told = Told::default();
    opens(trail).await;
    for users in [1, 3_000, 1] {
        if let Ok(open) = trail.begin(test_intent(users)).await {
            let index = open.index();
            told.granted.push(index);
            if open.close(deleted()).await.is_ok() {
                told.confirmed.push(index);
            }
        }
        opens(trail).await;
    }
    told
}

/// Takes whether something survives from a seed.
pub(super) fn coin(seed: u64) -> impl FnMut() -> bool {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state & 1 == 0
    }
}

async fn check(step: usize, persisted: bool) {
    let disk = FakeDisk::default();
    disk.fail_step(step, persisted);
    let rig = Rig::on(&disk, PATIENT);
    let told = story(&rig.trail).await;
    for seed in 0..2 {
        let after = disk.crash(coin(seed + 10 * step as u64));
        let again = trail(&after, &rig.settings);
        again.opened().await;
        assert_eq!(
            again.state().closed,
            None,
            "step {step}, persisted {persisted}"
        );
        let seen = entries(&after, &rig.settings);
        let intents: BTreeMap<u64, &Entry> = (0..).zip(&seen).collect();
        let endings = endings(&seen);
        for index in &told.granted {
            assert_eq!(
                kind(intents[index]),
                "intent",
                "step {step}, persisted {persisted}"
            );
        }
        for index in &told.confirmed {
            assert_eq!(endings[index].outcome, Verdict::Deleted, "step {step}");
        }
        // Parts of one deletion count once.
        let first_parts = seen
            .iter()
            .filter(|e| matches!(&e.kind, Kind::Intent(i) if i.part.is_none_or(|part| part == 1)));
        assert_eq!(
            endings.len(),
            first_parts.count(),
            "every intent is closed once"
        );
        again.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_p2_p3_every_step_may_fail_and_a_crash_may_follow() {
    let disk = FakeDisk::default();
    let rig = Rig::on(&disk, PATIENT);
    let told = story(&rig.trail).await;
    assert_eq!(told.confirmed.len(), 3);
    let steps = disk.steps();
    assert!(steps > 60, "{steps}");
    run_all((0..2 * steps).map(|case| check(case / 2, case % 2 == 1))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_recovery_cut_off_again_and_again_ends_in_the_same_records() {
    let rig = Rig::open(PATIENT).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    let index = open.index();
    let mut disk = rig.disk.crash(coin(1));
    for seed in 0..20 {
        let again = trail(&disk, &rig.settings);
        again.opened().await;
        assert_eq!(again.state().closed, None);
        assert_eq!(
            endings(&entries(&disk, &rig.settings))[&index].outcome,
            Verdict::Unknown
        );
        disk = disk.crash(coin(seed));
    }
    let seen = entries(&disk, &rig.settings);
    assert_eq!(endings(&seen).len(), 1);
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_batch_only_in_the_page_cache_is_durable_after_recovery() {
    let rig = Rig::open(PATIENT).await;
    rig.disk.fail("sync_data", 0, usize::MAX, ErrorKind::Other);
    rig.trail.begin(test_intent(1)).await.unwrap_err();
    rig.trail.stop().await;
    // The batch can be read though no sync of it ever worked, and no later sync of that file helps.
    assert!(kinds(&rig.entries()).contains(&"intent".to_owned()));
    rig.disk.heal();
    let again = trail(&rig.disk, &rig.settings);
    opens(&again).await;
    let used = rig.entries();
    let after = rig.disk.crash(|| false);
    assert_eq!(entries(&after, &rig.settings), used);
}
