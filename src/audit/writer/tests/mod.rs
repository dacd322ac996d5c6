//! Tests of the writer on a disk that fails, and on a real one that another program changes.

mod copies;
mod crash;
mod faults;
mod integrity;
mod late;
mod notes;
mod opening;
mod published;
mod publisher;
mod steps;

use std::sync::Arc;
use std::time::Duration;

use crate::audit::disk::fake::FakeDisk;
use crate::audit::disk::names::JOURNAL;
use crate::audit::disk::{Disk, Folder, read_log_file};
use crate::audit::entry::{Ending, Entry, Kind, Sent, Verdict};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::{Key, keygen};
use crate::audit::publish::tests::all;
use crate::audit::status::Cause;
use crate::audit::writer::Settings;
use crate::audit::{TestFolder, Trail, journal, test_folder};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// A trail on a disk in memory.
pub(super) struct Rig {
    pub(super) disk: FakeDisk,
    pub(super) settings: Settings,
    pub(super) trail: Trail,
    _folder: TestFolder,
}

impl Rig {
    pub(super) fn on(disk: &FakeDisk, timeout: Duration) -> Self {
        let folder = test_folder("writer");
        let key_file = folder.path().join("audit.key");
        keygen("lychgate.test/edge-1", &key_file).unwrap();
        disk.mount("/kept");
        Self::with(disk, folder, timeout)
    }

    fn with(disk: &FakeDisk, folder: TestFolder, timeout: Duration) -> Self {
        let settings = Settings {
            directory: "/audit".into(),
            origin: "lychgate.test/edge-1".into(),
            key_file: folder.path().join("audit.key"),
            sync_timeout: timeout,
            segment_bytes: 256 << 10,
            space: crate::audit::status::space::Levels::default(),
            seen_file: "/kept/audit.key.seen".into(),
            heartbeat: Duration::from_secs(3_600),
        };
        Self {
            disk: disk.clone(),
            trail: trail(disk, &settings),
            settings,
            _folder: folder,
        }
    }

    pub(super) async fn open(timeout: Duration) -> Self {
        let rig = Self::on(&FakeDisk::default(), timeout);
        rig.trail.opened().await;
        assert_eq!(rig.trail.state().closed, None);
        rig
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        entries(&self.disk, &self.settings)
    }
}

pub(super) fn trail(disk: &FakeDisk, settings: &Settings) -> Trail {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Trail::open_on(disk, settings.clone(), Clock::system(), Metrics::new())
}

/// The entries of the trail. The key checks those in the journal.
pub(super) fn entries(disk: &FakeDisk, settings: &Settings) -> Vec<Entry> {
    let key = Key::read(&settings.key_file).unwrap();
    let root = Disk::folder(disk, &settings.directory, None).unwrap();
    let folder: Arc<dyn Folder> = root.folder(JOURNAL, None).unwrap();
    let journal = journal::read_folder(folder, Some(&key)).unwrap();
    journal.for_each(|read| drop(read.unwrap()));
    let all = all(root);
    all.iter()
        .map(|bytes| serde_json::from_slice(bytes).unwrap())
        .collect()
}

pub(super) fn kind(entry: &Entry) -> String {
    serde_json::to_value(entry).unwrap()["kind"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(super) fn kinds(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(kind).collect()
}

pub(super) fn deleted() -> Ending {
    Ending {
        outcome: Verdict::Deleted,
        reason: None,
        sent: Sent::Yes,
        status: Some(200),
        revision: None,
        attempts: 1,
    }
}

/// The ending of each closed intent, by its index. Fails if one was closed twice.
pub(super) fn endings(entries: &[Entry]) -> std::collections::BTreeMap<u64, Ending> {
    let mut endings = std::collections::BTreeMap::new();
    for entry in entries {
        if let Kind::Outcome(outcome) = &entry.kind {
            let before = endings.insert(outcome.intent, outcome.ending.clone());
            assert!(
                before.is_none(),
                "intent {} was closed twice",
                outcome.intent
            );
        }
    }
    endings
}

/// Waits until the trail takes deletions again.
pub(super) async fn opens(trail: &Trail) {
    for _ in 0..12_000 {
        if trail.state().closed.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still closed: {:?}", trail.state());
}

/// Waits until the trail refuses deletions for this cause.
pub(super) async fn closes(trail: &Trail, cause: Cause) {
    wait(|| trail.state().closed.is_some_and(|c| c.cause == cause)).await;
}

/// Waits until the newest checkpoint covers all entries.
pub(super) async fn published(rig: &Rig) {
    let key = Key::read(&rig.settings.key_file).unwrap();
    wait(|| {
        let root = Disk::folder(&rig.disk, "/audit".as_ref(), None).unwrap();
        let bytes = read_log_file(&*root, "checkpoint").unwrap().unwrap();
        let checkpoint = Checkpoint::open(&bytes, key.verifier()).unwrap();
        checkpoint.size == rig.entries().len() as u64
    })
    .await;
}

pub(super) async fn wait(until: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if until() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}
