//! The operator accepts the loss of a log, and another begins; on a disk that may fail at any step.

use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;

use super::*;
use crate::audit::disk::RealDisk;
use crate::audit::disk::fake::FakeDisk;
use crate::audit::disk::names::FILE_MODE;
use crate::audit::entry::compose::test_intent;
use crate::audit::entry::{Entry, Kind, not_sent};
use crate::audit::log::key::{keygen, test_key};
use crate::audit::publish::tests::all;
use crate::audit::{TestFolder, Trail, run_all, test_folder};
use crate::clock::Clock;
use crate::metrics::Metrics;

const OLD: &str = "lychgate.test/old";
const NEW: &str = "lychgate.test/new";

/// A disk with an old log of one deletion, and the keys of both names.
struct World {
    disk: FakeDisk,
    keys: TestFolder,
}

impl World {
    async fn new() -> Self {
        let keys = test_folder("loss");
        for (origin, name) in [(OLD, "old.key"), (NEW, "new.key")] {
            keygen(origin, &keys.path().join(name)).unwrap();
        }
        let world = Self {
            disk: FakeDisk::default(),
            keys,
        };
        world.disk.mount("/kept");
        let trail = world.open(OLD).await;
        let open = trail.begin(test_intent(1)).await.unwrap();
        open.close(not_sent()).await.unwrap();
        trail.stop().await;
        world
    }

    /// The same, as a crash leaves it.
    fn crashed(&self, survives: bool) -> FakeDisk {
        self.disk.crash(|| survives)
    }

    fn settings(&self, origin: &str) -> Settings {
        let name = if origin == OLD { "old.key" } else { "new.key" };
        Settings {
            directory: "/audit".into(),
            origin: origin.into(),
            key_file: self.keys.path().join(name),
            sync_timeout: Duration::from_secs(600),
            segment_bytes: 256 << 10,
            space: crate::audit::status::space::Levels::default(),
            seen_file: "/kept/seen".into(),
            heartbeat: Duration::from_secs(3_600),
        }
    }

    async fn open(&self, origin: &str) -> Trail {
        self.open_on(&self.disk, origin).await
    }

    async fn open_on(&self, disk: &FakeDisk, origin: &str) -> Trail {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let settings = self.settings(origin);
        let trail = Trail::open_on(disk, settings, Clock::system(), Metrics::new());
        trail.opened().await;
        trail
    }

    /// Runs the command with the config of `origin`, for a new log of the name `new`.
    async fn accept(&self, origin: &str, new: &str) -> Result<Accepted, NotAccepted> {
        self.accept_on(&self.disk, origin, new).await
    }

    async fn accept_on(
        &self,
        disk: &FakeDisk,
        origin: &str,
        new: &str,
    ) -> Result<Accepted, NotAccepted> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let settings = self.settings(origin);
        Trail::accept_loss_on(disk, settings, &acceptance(new), Clock::system()).await
    }

    fn entries(&self, disk: &FakeDisk, below: &[&str]) -> Vec<Entry> {
        let mut folder = Disk::folder(disk, "/audit".as_ref(), None).unwrap();
        for name in below {
            folder = folder.folder(name, None).unwrap();
        }
        let entries = all(folder);
        let entries = entries.iter().map(|e| serde_json::from_slice(e).unwrap());
        entries.collect()
    }
}

fn acceptance(origin: &str) -> Acceptance {
    Acceptance {
        reason: "the disk is gone".into(),
        origin: origin.into(),
        actor: Actor { uid: 7 },
    }
}

fn cause(refused: Result<Accepted, NotAccepted>) -> Unavailable {
    match refused {
        Err(NotAccepted::Unavailable(closed)) => closed,
        other => panic!("{other:?}"),
    }
}

fn losses(entries: &[Entry]) -> Vec<usize> {
    let is_loss =
        |(at, entry): (usize, &Entry)| matches!(entry.kind, Kind::LossAccepted(_)).then_some(at);
    entries.iter().enumerate().filter_map(is_loss).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_the_old_log_moves_aside_whole_and_the_new_one_says_so() {
    let world = World::new().await;
    let old = world.entries(&world.disk, &[]);
    let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
    let kept = Disk::folder(&world.disk, "/kept".as_ref(), None).unwrap();
    let signed = read_log_file(&*root, "checkpoint").unwrap();
    let signed = String::from_utf8(signed.unwrap()).unwrap();

    let accepted = world.accept(NEW, NEW).await.unwrap();
    assert_eq!(accepted.old_origin.as_deref(), Some(OLD));
    let trail = world.open(NEW).await;
    assert_eq!(trail.state().closed, None);
    let new = world.entries(&world.disk, &[]);
    let Kind::LossAccepted(loss) = &new[0].kind else {
        panic!("{new:?}")
    };
    assert_eq!((&*loss.reason, loss.actor.uid), ("the disk is gone", 7));
    assert_eq!(loss.old_origin.as_deref(), Some(OLD));
    assert_eq!(loss.old_checkpoint.as_ref(), Some(&signed));
    assert!(matches!(new[1].kind, Kind::Started(_)));
    assert_eq!(world.entries(&world.disk, &[&accepted.left_in]), old);
    assert!(root.look(LOSS_MOVED).is_err() && root.look(LOSS_MOVING).is_err());
    // The folder holds the seen files of both logs.
    let aside = format!("seen.{}", accepted.left_in);
    let seen = read_log_file(&*kept, &aside).unwrap().unwrap();
    assert_eq!(seen, signed.as_bytes());
    trail.stop().await;
    let seen = read_log_file(&*kept, "seen").unwrap().unwrap();
    assert!(seen.starts_with(NEW.as_bytes()));
    // The old log's config opens nothing there any more.
    let trail = world.open(OLD).await;
    assert_eq!(trail.state().closed.unwrap().cause, Cause::KeyUnusable);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_damaged_published_file_is_a_loss() {
    let world = World::new().await;
    let settings = world.settings(OLD);
    assert_eq!(published_fault(&world.disk, &settings), None);
    let root = Disk::folder(&world.disk, Path::new("/audit"), None).unwrap();
    let bundles = ["tile", "entries", "000.p"]
        .iter()
        .fold(root, |above, name| above.folder(name, None).unwrap());
    let name = bundles.list().unwrap().pop().unwrap();
    let bundle = bundles.open(&name, Access::Create(FILE_MODE)).unwrap();
    bundle.write_at(b"?", 9).unwrap();
    let found = published_fault(&world.disk, &settings).unwrap();
    assert!(found.cause.may_be_lost(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_trail_that_opens_or_ends_its_trouble_is_not_lost() {
    let world = World::new().await;
    let opens = world.accept(OLD, NEW).await;
    assert_eq!(opens, Err(NotAccepted::NothingIsLost));
    let full = io::ErrorKind::StorageFull;
    world.disk.fail("write", 0, usize::MAX, full);
    assert_eq!(cause(world.accept(OLD, NEW).await).cause, Cause::DiskFull);
    world.disk.heal();
    assert_eq!(losses(&world.entries(&world.disk, &[])), [0; 0]);
    assert_eq!(world.open(OLD).await.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_while_another_holds_the_lock_no_loss_is_accepted() {
    let world = World::new().await;
    let trail = world.open(OLD).await;
    for origin in [OLD, NEW] {
        let refused = world.accept(origin, NEW).await.unwrap_err();
        assert_eq!(refused, NotAccepted::Held(Some(std::process::id())));
        let told = format!("process {} holds the trail's lock", std::process::id());
        assert!(refused.to_string().contains(&told), "{refused}");
    }
    let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
    root.open(LOCK, Access::Write).unwrap().clear().unwrap();
    let refused = world.accept(OLD, NEW).await.unwrap_err();
    assert_eq!(refused, NotAccepted::Held(None));
    assert!(root.look(LOSS_MOVING).is_err());
    trail.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_name_that_was_lost_is_never_taken_again() {
    let world = World::new().await;
    let again = cause(world.accept(NEW, OLD).await);
    assert!(again.detail.contains("two histories"), "{again:?}");
    world.accept(NEW, NEW).await.unwrap();
    world.open(NEW).await.stop().await;
    for name in [OLD, NEW] {
        let again = cause(world.accept(OLD, name).await);
        assert!(again.detail.contains("two histories"), "{again:?}");
    }
    assert_eq!(
        cause(world.accept(OLD, "a+b").await).cause,
        Cause::KeyUnusable
    );
    let closed = world.open(OLD).await.state().closed.unwrap();
    assert_eq!(closed.cause, Cause::KeyUnusable);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_until_the_new_key_comes_nothing_is_opened() {
    let world = World::new().await;
    world.accept(NEW, "lychgate.test/third").await.unwrap();
    // Nor is the seen file touched, which is what guards the old name.
    let kept = Disk::folder(&world.disk, "/kept".as_ref(), None).unwrap();
    assert!(kept.look("seen").is_ok());
    for origin in [OLD, NEW] {
        let closed = world.open(origin).await.state().closed.unwrap();
        assert_eq!(closed.cause, Cause::KeyUnusable);
        assert!(closed.detail.contains("lychgate.test/third"), "{closed:?}");
    }
    // Accepted again under another name, it is still the same loss.
    let again = world.accept(NEW, NEW).await.unwrap();
    assert_eq!(again.old_origin.as_deref(), Some(OLD));
    assert_eq!(world.open(NEW).await.state().closed, None);
    assert_eq!(losses(&world.entries(&world.disk, &[])), [0]);
    assert_eq!(
        losses(&world.entries(&world.disk, &[&again.left_in])),
        [0; 0]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_cannot_be_moved_aside_is_accepted_all_the_same() {
    let world = World::new().await;
    let read_only = io::ErrorKind::ReadOnlyFilesystem;
    world.disk.fail("move", 0, usize::MAX, read_only);
    let accepted = world.accept(NEW, NEW).await.unwrap();
    let why = accepted.unfinished.unwrap();
    assert!(why.contains("cannot move what is left"), "{why}");
    world.disk.heal();
    assert_eq!(world.open(NEW).await.state().closed, None);
    assert_eq!(losses(&world.entries(&world.disk, &[])), [0]);
}

/// Accepts a loss and opens the log on a disk that fails at one step, then loses power. Afterwards the folder holds
/// the old log or the new one, and the new one begins with its loss.
async fn interrupted(world: &World, step: usize, persisted: bool, survives: bool) {
    let told = format!("step {step}, persisted {persisted}, survives {survives}");
    let disk = world.crashed(true);
    disk.fail_step(step, persisted);
    let _ = world.accept_on(&disk, NEW, NEW).await;
    world.open_on(&disk, NEW).await.stop().await;
    let after = disk.crash(|| survives);
    let mut trail = world.open_on(&after, NEW).await;
    if let Some(closed) = trail.state().closed {
        assert_eq!(closed.cause, Cause::KeyUnusable, "{told}");
        trail.stop().await;
        let accepted = world.accept_on(&after, NEW, NEW).await;
        accepted.unwrap_or_else(|e| panic!("{told}: {e:?}"));
        trail = world.open_on(&after, NEW).await;
    }
    let open = trail.begin(test_intent(1)).await.unwrap();
    open.close(not_sent()).await.unwrap();
    trail.stop().await;
    let entries = world.entries(&after, &[]);
    assert_eq!(losses(&entries), [0], "{told}");
    let Kind::LossAccepted(loss) = &entries[0].kind else {
        unreachable!("{told}")
    };
    assert_eq!(loss.old_origin.as_deref(), Some(OLD), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_accepting_a_loss_may_be_cut_off_at_any_step() {
    let world = Arc::new(World::new().await);
    let whole = world.crashed(true);
    let before = whole.steps();
    world.accept_on(&whole, NEW, NEW).await.unwrap();
    world.open_on(&whole, NEW).await.stop().await;
    let steps = whole.steps() - before;
    assert!(steps > 20, "{steps}");
    let mut checks = Vec::new();
    for step in 0..steps {
        for (persisted, survives) in [(false, false), (false, true), (true, false), (true, true)] {
            let world = Arc::clone(&world);
            checks.push(async move { interrupted(&world, step, persisted, survives).await });
        }
    }
    run_all(checks).await;
}

/// Puts a record there that nobody accepted.
fn forge(world: &World, name: &str, origin: &str, left_in: &str) {
    let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
    let record = Record {
        origin: origin.into(),
        loss: LossAccepted {
            accepted: "2026-11-24T12:00:00.000000Z".into(),
            reason: "forged".into(),
            actor: Actor { uid: 0 },
            old_origin: Some(OLD.into()),
            old_checkpoint: None,
            left_in: left_in.into(),
        },
    };
    record.write(&*root, name).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_forged_record_makes_the_gateway_forget_nothing() {
    for origin in [OLD, NEW, "lychgate.test/third"] {
        let world = World::new().await;
        forge(&world, LOSS_MOVING, origin, "lost-now");
        let closed = world.open(OLD).await.state().closed.unwrap();
        let wanted = match origin {
            OLD => Cause::RolledBack,
            _ => Cause::KeyUnusable,
        };
        assert_eq!(closed.cause, wanted, "{closed:?}");
        // Nor when the record is taken away again, and an empty folder is left.
        let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
        let _ = root.remove(LOSS_MOVED);
        let closed = world.open(OLD).await.state().closed.unwrap();
        assert_eq!(closed.cause, Cause::RolledBack, "{closed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_record_that_names_another_place_is_damage() {
    let world = World::new().await;
    for left_in in ["../elsewhere", "journal", "lost-/../..", ""] {
        forge(&world, LOSS_MOVING, NEW, left_in);
        let closed = world.open(OLD).await.state().closed.unwrap();
        assert_eq!(closed.cause, Cause::Damaged, "{closed:?}");
    }
    let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
    root.remove(LOSS_MOVING).unwrap();
    assert_eq!(world.open(OLD).await.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_record_in_a_log_that_has_begun_is_taken_away() {
    let world = World::new().await;
    forge(&world, LOSS_MOVED, OLD, "lost-now");
    let trail = world.open(OLD).await;
    assert_eq!(trail.state().closed, None);
    let root = Disk::folder(&world.disk, "/audit".as_ref(), None).unwrap();
    assert!(root.look(LOSS_MOVED).is_err());
    trail.stop().await;
    assert_eq!(losses(&world.entries(&world.disk, &[])), [0; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_lack_of_descriptors_loses_nothing_of_what_is_accepted() {
    let world = World::new().await;
    let settings = world.settings(NEW);
    let mut failed = 0;
    for read in 0.. {
        let disk = world.crashed(true);
        disk.fail_reads(read, 1, Errno::MFILE);
        let now = Clock::system().now();
        let decide = || {
            let (root, _lock) = enter(&disk, &settings)?;
            decide(&disk, &*root, &settings, &acceptance(NEW), now)
        };
        let decided = decide().or_else(|found| {
            assert_eq!(found.cause, Cause::SyncFailed, "read {read}: {found:?}");
            decide()
        });
        let decided = decided.unwrap();
        if disk.failures() == 0 {
            break;
        }
        failed += 1;
        assert_eq!(decided.loss.old_origin.as_deref(), Some(OLD), "{read}");
        assert!(decided.loss.old_checkpoint.is_some(), "read {read}");
    }
    assert!(failed > 9, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_seen_file_that_cannot_be_read_is_not_left_in_place() {
    let world = World::new().await;
    let settings = world.settings(NEW);
    world.accept(NEW, NEW).await.unwrap();
    let mut failed = 0;
    for read in 0.. {
        let disk = world.crashed(true);
        let root = Disk::folder(&disk, &settings.directory, None).unwrap();
        disk.fail_reads(read, 1, Errno::IO);
        let resume = || resume(&disk, &root, &settings, NEW);
        let resumed = resume().or_else(|found| {
            assert_eq!(found.cause, Cause::SyncFailed, "read {read}: {found:?}");
            resume()
        });
        assert!(resumed.unwrap().is_some());
        let failures = disk.failures();
        disk.heal();
        // Of another log, it would be taken for a roll-back.
        let kept = Disk::folder(&disk, "/kept".as_ref(), None).unwrap();
        assert!(kept.look("seen").is_err(), "read {read}");
        if failures == 0 {
            break;
        }
        failed += 1;
    }
    assert!(failed > 4, "{failed}");
}

#[test]
fn files_of_other_programs_stay_where_they_are() {
    let outer = test_folder("aside");
    let path = |name: &str| outer.path().join(name);
    for name in ["checkpoint", "verifier", ".DS_Store"] {
        std::fs::write(path(name), name).unwrap();
    }
    std::fs::create_dir(path("lost+found")).unwrap();
    let root = RealDisk.folder(outer.path(), None).unwrap();
    let record = Record {
        origin: NEW.into(),
        loss: LossAccepted {
            accepted: "2026-11-24T23:30:45.000001Z".into(),
            reason: "the disk is gone".into(),
            actor: Actor { uid: 7 },
            old_origin: None,
            old_checkpoint: None,
            left_in: "lost-1".into(),
        },
    };
    record.write(&*root, LOSS_MOVING).unwrap();
    quarantine(&root, &record).unwrap();
    assert!(path("lost-1/checkpoint").exists() && path("lost-1/verifier").exists());
    assert!(path(".DS_Store").exists() && path("lost+found").exists());
    assert!(!path("checkpoint").exists());
}

#[test]
fn the_folder_of_a_lost_log_says_when() {
    let time = Time::parse("2026-11-24T23:30:45.000001Z").unwrap();
    assert_eq!(quarantine_name(time), "lost-20261124T233045.000001Z");
}

#[test]
fn the_newest_genuine_checkpoint_ranks_highest() {
    let signed = |key: &Key, size: u64| {
        let checkpoint = Checkpoint {
            origin: key.origin().to_owned(),
            size,
            root: [7; 32],
        };
        checkpoint.sign(key)
    };
    let key = test_key();
    let stranger = Key::generate(key.origin()).unwrap();
    let keys = [key.verifier().clone()];
    let rank = |bytes: Vec<u8>| ranked(bytes, &keys).map(|(rank, _)| rank);
    assert!(rank(signed(&key, 6)) > rank(signed(&key, 5)));
    assert!(rank(signed(&key, 5)) > rank(signed(&stranger, 9)));
    assert_eq!(rank(signed(&stranger, 9)), Some((false, 9)));
    assert_eq!(rank(b"no note".to_vec()), None);
}
