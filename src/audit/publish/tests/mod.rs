//! Tests of publishing, on a real folder.

mod pruned;
mod roll_back;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::audit::disk::{Disk, Folder, RealDisk};
use crate::audit::entry::compose::test_intent;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::merkle::{leaf, root_of};
use crate::audit::log::tiles::{bundles_at, decode_bundle, tiles_at};
use crate::audit::read::{Files, FolderFiles, Log};
use crate::audit::trail::tests::{deleted, settings};
use crate::audit::writer::Settings;
use crate::audit::{Trail, journal, test_folder};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The whole log, read from the published files only.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) size: u64,
    pub(crate) entries: Vec<Vec<u8>>,
}

pub(super) fn published(settings: &Settings) -> Option<Published> {
    let key = Key::read(&settings.key_file).unwrap();
    published_in(RealDisk.folder(&settings.directory, None).unwrap(), &key)
}

/// Reads every file that the checkpoint implies, and checks that they fit together.
pub(crate) fn published_in(root: Arc<dyn Folder>, key: &Key) -> Option<Published> {
    let files = FolderFiles(root);
    let read = |path: &str| files.file(path, 1 << 25).unwrap();
    let checkpoint = Checkpoint::open(&read("checkpoint")?, key.verifier()).unwrap();
    let mut entries = Vec::new();
    for bundle in bundles_at(checkpoint.size) {
        let bytes = read(&bundle.path()).unwrap();
        let found = decode_bundle(&bytes, bundle.width).unwrap();
        entries.extend(found.into_iter().map(<[u8]>::to_vec));
    }
    for tile in tiles_at(checkpoint.size) {
        let bytes = read(&tile.path()).unwrap();
        assert_eq!(bytes.len(), 32 * usize::from(tile.width), "{tile:?}");
        if tile.level == 0 {
            let leaves = entries.iter().skip(256 * tile.index as usize);
            let leaves: Vec<u8> = leaves.take(256).flat_map(|e| leaf(e)).collect();
            assert_eq!(bytes, leaves);
        }
    }
    let leaves: Vec<_> = entries.iter().map(|entry| leaf(entry)).collect();
    assert_eq!(root_of(&leaves), checkpoint.root);
    Some(Published {
        size: checkpoint.size,
        entries,
    })
}

/// All entries, read from the bundles and the journal on this thread, so that a crash test repeats
/// step by step.
pub(crate) fn all(root: Arc<dyn Folder>) -> Vec<Vec<u8>> {
    let folder = FolderFiles(root);
    let mut log = Log::held(&folder, Arc::new(folder.clone()), None).unwrap();
    let mut all = Vec::new();
    for bundle in 0..log.bundles() {
        let take = |entries: &[&[u8]]| all.extend(entries.iter().map(|e| e.to_vec()));
        log.reader.bundle(bundle, take).unwrap();
    }
    all.extend(log.tail().map(|raw| raw.unwrap().bytes));
    all
}

/// The entries in the journal.
pub(super) fn written(settings: &Settings) -> Vec<Vec<u8>> {
    let key = Key::read(&settings.key_file).unwrap();
    let entries = journal::read(&settings.directory, Some(&key)).unwrap();
    entries.map(|read| read.unwrap().bytes).collect()
}

pub(super) async fn open(settings: &Settings) -> Trail {
    let trail = Trail::open(settings.clone(), Clock::system(), Metrics::new());
    trail.opened().await;
    trail
}

/// Waits until the condition holds.
pub(super) async fn until(is_so: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain");
}

pub(super) async fn delete(trail: &Trail, count: usize) {
    for _ in 0..count {
        let open = trail.begin(test_intent(1)).await.unwrap();
        open.close(deleted()).await.unwrap();
    }
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_checkpoint_covers_every_entry() {
    let folder = test_folder("publish");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    assert_eq!(
        published(&settings).unwrap().size,
        1,
        "`started` is published before the trail opens"
    );
    delete(&trail, 1).await;
    until(|| published(&settings).unwrap().size == 3).await;
    delete(&trail, 150).await;
    trail.stop().await;
    let log = published(&settings).unwrap();
    assert_eq!(log.size, 304, "a checkpoint covers `stopped` too");
    assert!(log.entries.ends_with(&written(&settings)));
    let seen = std::fs::read(&settings.seen_file).unwrap();
    assert_eq!(
        seen,
        std::fs::read(settings.directory.join("checkpoint")).unwrap()
    );
    let left: Vec<_> = std::fs::read_dir(settings.directory.join("tmp"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_missing_published_files_are_restored_from_the_journal() {
    for gone in ["tile/0/000.p", "tile/entries/000.p", "tile", "checkpoint"] {
        let folder = test_folder("publish-again");
        let settings = Settings {
            segment_bytes: 4 << 20,
            ..settings(folder.path())
        };
        let trail = open(&settings).await;
        delete(&trail, 40).await;
        trail.stop().await;
        let before = published(&settings).unwrap();
        let gone = settings.directory.join(gone);
        match gone.is_dir() {
            true => std::fs::remove_dir_all(gone).unwrap(),
            false => std::fs::remove_file(gone).unwrap(),
        }
        let trail = open(&settings).await;
        assert_eq!(trail.state().closed, None);
        trail.stop().await;
        let after = published(&settings).unwrap();
        assert_eq!(after.size, 84);
        assert!(after.entries.starts_with(&before.entries));
    }
}

/// Folders of partial files below `tile/`.
fn partial_folders(settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    for level in ["0", "1", "entries"] {
        let names = std::fs::read_dir(settings.directory.join("tile").join(level));
        for entry in names.into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".p") {
                found.push(format!("{level}/{name}"));
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_files_are_removed_once_the_full_file_exists() {
    let folder = test_folder("outgrown");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    delete(&trail, 60).await;
    until(|| partial_folders(&settings) == ["0/000.p", "entries/000.p"]).await;
    delete(&trail, 80).await;
    let newest = ["0/001.p", "1/000.p", "entries/001.p"];
    until(|| partial_folders(&settings) == newest).await;
    trail.stop().await;
    // The next start finds folders that a crash left.
    let left = settings.directory.join("tile/0/000.p");
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("7"), b"old").unwrap();
    open(&settings).await.stop().await;
    assert_eq!(partial_folders(&settings), newest);
    published(&settings).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_log_writes_and_publishes_alive_entries() {
    let folder = test_folder("alive");
    let settings = Settings {
        heartbeat: Duration::from_secs(1),
        ..settings(folder.path())
    };
    let begun = Instant::now();
    let trail = open(&settings).await;
    let alive = || {
        let entries = published(&settings).unwrap().entries;
        let is_alive = |entry: &&Vec<u8>| entry.ends_with(b"\"kind\":\"alive\"}");
        entries.iter().filter(is_alive).count() as u64
    };
    until(|| alive() >= 2).await;
    trail.stop().await;
    assert!(alive() <= begun.elapsed().as_secs(), "one a second");
}
