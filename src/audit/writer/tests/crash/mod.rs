//! The crash campaign: random deletions, faults and losses of power at random steps, while the trail
//! is used and while it recovers, and copies put in its folder's place; in the end no answer was a lie,
//! and nothing that was shown is gone.
//!
//! Writer and publisher are driven by hand in one thread, so that a seed is always the same story.
//! `LYCHGATE_CRASH_SEED=N` tells that of one seed; `LYCHGATE_FULL` tells 10,000.

mod forged;
mod judge;
mod lacks;
mod life;
mod pruned;
mod random;
mod torn;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::audit::by_hand;
use life::{End, Life, Told};
use random::Random;

const SEEDS: u64 = 200;
const SEEDS_IN_FULL: u64 = 10_000;

/// Where each story happens.
struct Place {
    settings: Settings,
    _folder: TestFolder,
}

fn place() -> Place {
    let folder = test_folder("crash");
    let key_file = folder.path().join("audit.key");
    keygen("lychgate.test/edge-1", &key_file).unwrap();
    Place {
        settings: Settings {
            directory: "/audit".into(),
            origin: "lychgate.test/edge-1".into(),
            key_file,
            sync_timeout: Duration::from_secs(600),
            segment_bytes: 256 << 10,
            space: crate::audit::status::space::Levels::default(),
            seen_file: "/kept/audit.key.seen".into(),
            heartbeat: Duration::from_secs(3_600),
        },
        _folder: folder,
    }
}

fn new_disk() -> FakeDisk {
    let disk = FakeDisk::default();
    for (folder, name) in [("/audit", "checkpoint"), ("/kept", "audit.key.seen")] {
        disk.mount(folder);
        disk.watch(folder, name);
    }
    disk
}

/// Lives until the power is lost or the process is killed, with up to two faults before.
fn live(disk: &FakeDisk, settings: &Settings, random: &mut Random, told: &mut Told, reach: usize) {
    match random.coin() {
        true => disk.die_at(None, random.below(reach), random.coin()),
        // The steps that are few, and that matter.
        false => {
            let names = [
                "remove",
                "rename",
                "move",
                "sync_folder",
                "sync_data",
                "sync_all",
            ];
            let name = names[random.below(names.len())];
            disk.die_at(Some(name), random.below(reach / 10), random.coin());
        }
    }
    for _ in 0..random.below(3) {
        disk.fail_step(random.below(reach), random.coin());
    }
    while let Some(life) = Life::begin(disk, settings, told) {
        let moves = 1 + random.below(60);
        let end = life.play(random, told, moves);
        // A copy that nobody opened was of no use.
        disk.put_back();
        if end != End::Stopped {
            return;
        }
    }
}

/// What the callers' waits need.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// Tells the story of a seed; gives the steps that the disk was asked for.
fn story_of(seed: u64) -> Vec<&'static str> {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let mut random = Random::new(seed);
    let Place { settings, _folder } = place();
    let (mut disk, mut told, mut steps) = (new_disk(), Told::default(), Vec::new());
    for crash in 0..2 + random.below(3) {
        let reach = match crash {
            0 => [100, 500, 2_500][random.below(3)],
            _ => [40, 150, 500][random.below(3)],
        };
        live(&disk, &settings, &mut random, &mut told, reach);
        // Otherwise only the process was killed, and its writes can still be read.
        if random.below(3) > 0 {
            steps.extend(disk.history());
            let odds = [0, 10, 50, 90, 100][random.below(5)];
            disk = disk.crash(|| random.below(100) < odds);
        }
        disk.heal();
    }
    let life = Life::begin(&disk, &settings, &mut told).unwrap();
    assert_eq!(life.closed(), None);
    judge::judge(&disk, &settings, &told);
    // The trail takes deletions again, and the log stays whole.
    life.go_on(&mut told);
    judge::judge(&disk, &settings, &told);
    steps.extend(disk.history());
    steps
}

/// Tells the stories of these seeds in a few threads; gives the seeds that went wrong, and how.
fn tell(seeds: std::ops::Range<u64>) -> Vec<String> {
    let (next, wrong) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().min(16));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| story_of(seed))) {
                        let text = panic.downcast_ref::<String>().cloned();
                        let text = text.or(panic.downcast_ref::<&str>().map(|s| (*s).into()));
                        let text = text.unwrap_or_default();
                        wrong
                            .lock()
                            .unwrap()
                            .push(format!("LYCHGATE_CRASH_SEED={seed}: {text}"));
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}

#[test]
fn p1_p2_p4_power_lost_again_and_again_makes_no_answer_a_lie() {
    let one = std::env::var_os("LYCHGATE_CRASH_SEED");
    let one = one.map(|seed| seed.to_str().unwrap().parse::<u64>().unwrap());
    let seeds = match (one, std::env::var_os("LYCHGATE_FULL")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(_)) => 0..SEEDS_IN_FULL,
        (None, None) => 0..SEEDS,
    };
    let wrong = tell(seeds);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_seed_is_always_the_same_story() {
    let mut copies = 0;
    for seed in 0..6 {
        let (one, other) = (story_of(seed), story_of(seed));
        let same = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let lengths = (one.len(), other.len());
        let from = same.saturating_sub(60);
        assert_eq!(
            (same, same),
            lengths,
            "seed {seed}: {:?}\n{:?}",
            &one[from..],
            &other[from..]
        );
        copies += one.iter().filter(|step| **step == "sync_disk").count();
    }
    assert!(copies > 3, "{copies} copies were opened");
}
