//! Pruning covered segments loses nothing: readers and the next start find every entry, and
//! removing more than the pruned segments is detected.

use std::path::PathBuf;

use super::*;
use crate::audit::TestFolder;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::entry::{Entry, Kind};
use crate::audit::journal::segment;
use crate::audit::read::verify;
use crate::audit::status::Cause;

/// A log without its first segments.
struct Pruned {
    settings: Settings,
    folder: TestFolder,
}

fn segments(settings: &Settings) -> Vec<PathBuf> {
    let journal = std::fs::read_dir(settings.directory.join("journal")).unwrap();
    let mut paths: Vec<PathBuf> = journal.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| segment::number(path.file_name().unwrap().to_str().unwrap()).is_some());
    paths.sort();
    paths
}

/// Each deletion with thousands of users fills a good part of a segment.
async fn fill(trail: &Trail, count: usize) {
    for _ in 0..count {
        let open = trail.begin(test_intent(4_000)).await.unwrap();
        open.close(deleted()).await.unwrap();
    }
}

async fn pruned() -> Pruned {
    let folder = test_folder("prune");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    fill(&trail, 20).await;
    trail.stop().await;
    let left = segments(&settings);
    assert!(left.len() <= 3, "{left:?}");
    assert!(!left[0].ends_with("0000000001"));
    Pruned { settings, folder }
}

fn all(settings: &Settings) -> Vec<Vec<u8>> {
    super::all(RealDisk.folder(&settings.directory, None).unwrap())
}

fn kinds(entries: &[Vec<u8>]) -> Vec<Kind> {
    let kind = |bytes: &Vec<u8>| serde_json::from_slice::<Entry>(bytes).unwrap().kind;
    entries.iter().map(kind).collect()
}

async fn refused(settings: &Settings) -> (Cause, String) {
    let trail = open(settings).await;
    let closed = trail.begin(test_intent(1)).await.unwrap_err();
    trail.stop().await;
    (closed.cause, closed.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_readers_find_every_entry_of_a_pruned_log() {
    let Pruned { settings, .. } = &pruned().await;
    let before = all(settings);
    assert_eq!(before, published(settings).unwrap().entries);
    for _ in 0..2 {
        let trail = open(settings).await;
        assert_eq!(trail.state().closed, None);
        fill(&trail, 4).await;
        trail.stop().await;
    }
    let after = all(settings);
    assert_eq!(after[..before.len()], before);
    let closed = |kind: &&Kind| matches!(kind, Kind::Outcome(_));
    assert_eq!(kinds(&after).iter().filter(closed).count(), 28);
    let key = Key::read(&settings.key_file).unwrap();
    let summary = verify::folder(&settings.directory, Some(&key), |_, _, _| {}).unwrap();
    assert_eq!(summary.entries, after.len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_pruning_stops_at_a_segment_with_an_open_intent() {
    let folder = test_folder("prune-open");
    let settings = settings(folder.path());
    let trail = open(&settings).await;
    fill(&trail, 6).await;
    let held = trail.begin(test_intent(1)).await.unwrap();
    fill(&trail, 6).await;
    let first = || {
        let first = journal::read(&settings.directory, None).unwrap().next();
        first.unwrap().unwrap().index
    };
    until(|| first() > 0).await;
    assert!(first() <= held.index(), "{}", first());
    let copied = Settings {
        directory: folder.path().join("copy"),
        seen_file: folder.path().join("copy.seen"),
        ..settings.clone()
    };
    copy(&settings.directory, &copied.directory);
    // The next start closes the intents that a crash here would leave open.
    let again = open(&copied).await;
    assert_eq!(again.state().closed, None);
    again.stop().await;
    let closings: Vec<u64> = kinds(&all(&copied))
        .into_iter()
        .filter_map(|kind| match kind {
            Kind::Outcome(outcome) => Some(outcome.intent),
            _ => None,
        })
        .collect();
    assert!(closings.contains(&held.index()));
    held.close(deleted()).await.unwrap();
    fill(&trail, 6).await;
    trail.stop().await;
    let first = journal::read(&settings.directory, None).unwrap().next();
    assert!(first.unwrap().unwrap().index > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_missing_segment_after_the_floor_is_damage() {
    let Pruned { settings, folder } = &pruned().await;
    let trail = open(settings).await;
    fill(&trail, 1).await;
    // This is the state after a kill: the last segments are not all published and pruned.
    let killed = Settings {
        directory: folder.path().join("killed"),
        seen_file: folder.path().join("killed.seen"),
        ..settings.clone()
    };
    copy(&settings.directory, &killed.directory);
    trail.stop().await;
    let oldest = segments(&killed).remove(0);
    let held = folder.path().join("held");
    std::fs::rename(&oldest, &held).unwrap();
    let (cause, detail) = refused(&killed).await;
    assert_eq!(cause, Cause::Damaged);
    assert!(detail.contains("is missing"), "{detail}");
    std::fs::rename(&held, &oldest).unwrap();
    let floor = killed.directory.join("journal/floor");
    std::fs::rename(&floor, &held).unwrap();
    assert_eq!(refused(&killed).await.0, Cause::Damaged);
    std::fs::rename(&held, &floor).unwrap();
    assert_eq!(open(&killed).await.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_pruned_log_without_its_tiles_or_checkpoint_is_damaged() {
    let Pruned { settings, folder } = &pruned().await;
    let index = published(settings).unwrap().size - 1;
    let edge = format!("tile/entries/000.p/{}", index + 1);
    let held = folder.path().join("held");
    // A missing checkpoint that the seen file knows means a roll-back.
    let causes = [Cause::RolledBack, Cause::Damaged, Cause::Damaged];
    for (name, cause) in ["checkpoint", "tile", &edge].into_iter().zip(causes) {
        let path = settings.directory.join(name);
        std::fs::rename(&path, &held).unwrap();
        assert_eq!(refused(settings).await.0, cause, "{name}");
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        }
        std::fs::rename(&held, &path).unwrap();
    }
    assert_eq!(open(settings).await.state().closed, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_pruned_log_of_another_history_is_rolled_back() {
    let Pruned { settings, folder } = &pruned().await;
    let older = folder.path().join("older");
    let seen = std::fs::read(&settings.seen_file).unwrap();
    copy(&settings.directory, &older);
    for (round, directory) in [&settings.directory, &older].into_iter().enumerate() {
        let kept = folder.path().join(format!("seen-{round}"));
        std::fs::write(&kept, &seen).unwrap();
        let settings = Settings {
            directory: directory.clone(),
            seen_file: kept,
            ..settings.clone()
        };
        let trail = open(&settings).await;
        fill(&trail, 8 + round).await;
        trail.stop().await;
    }
    let forked = Settings {
        directory: older,
        seen_file: folder.path().join("seen-0"),
        ..settings.clone()
    };
    let (cause, detail) = refused(&forked).await;
    assert_eq!(cause, Cause::RolledBack);
    assert!(detail.contains("are not those"), "{detail}");
}
