//! Tests of what the trail publishes, on a real folder.

mod roll_back;

use std::path::Path;
use std::time::Duration;

use crate::audit::checkpoint::Checkpoint;
use crate::audit::compose::test_intent;
use crate::audit::key::Key;
use crate::audit::merkle::{Root, leaf};
use crate::audit::tiles::{bundles_at, decode_bundle, tiles_at};
use crate::audit::trail::tests::{deleted, settings};
use crate::audit::{Settings, Trail, journal, test_folder};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The whole log, read from its published files alone.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) size: u64,
    pub(super) entries: Vec<Vec<u8>>,
}

/// Reads the folder as its checkpoint implies, and sees that all of it fits together.
pub(super) fn published(settings: &Settings) -> Option<Log> {
    let key = Key::read(&settings.key_file).unwrap();
    let read = |path: &str| std::fs::read(settings.directory.join(path));
    let checkpoint = Checkpoint::open(&read("checkpoint").ok()?, key.verifier()).unwrap();
    let mut root = Root::default();
    let mut entries = Vec::new();
    for bundle in bundles_at(checkpoint.size) {
        let bytes = read(&bundle.path()).unwrap();
        for entry in decode_bundle(&bytes, bundle.width).unwrap() {
            root.push(leaf(entry));
            entries.push(entry.to_vec());
        }
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
    assert_eq!(root.root(), checkpoint.root);
    Some(Log {
        size: checkpoint.size,
        entries,
    })
}

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
async fn p4_every_entry_is_under_a_checkpoint_within_a_second() {
    let folder = test_folder("publish");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    assert_eq!(
        published(&settings).unwrap().size,
        1,
        "`started`, before deletions are taken"
    );
    delete(&trail, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(published(&settings).unwrap().size, 3);
    delete(&trail, 150).await;
    trail.stop().await;
    let log = published(&settings).unwrap();
    assert_eq!(log.size, 304, "`stopped` is under a checkpoint, too");
    assert_eq!(log.entries, written(&settings));
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
async fn p4_a_log_goes_on_over_restarts_and_missing_files_are_made_again() {
    let folder = test_folder("publish-again");
    let settings = settings(folder.path());
    for round in 0..4 {
        let trail = open(&settings).await;
        assert_eq!(trail.state().closed, None, "round {round}");
        delete(&trail, 100).await;
        trail.stop().await;
        assert_eq!(published(&settings).unwrap().entries, written(&settings));
        let gone = ["tile/0/000", "tile/entries", "tile", "checkpoint"][round];
        let gone = settings.directory.join(gone);
        if gone.is_dir() {
            std::fs::remove_dir_all(gone).unwrap();
        } else if gone.exists() {
            std::fs::remove_file(gone).unwrap();
        }
    }
    let trail = open(&settings).await;
    trail.stop().await;
    assert_eq!(published(&settings).unwrap().size, 4 * 202 + 2);
}
