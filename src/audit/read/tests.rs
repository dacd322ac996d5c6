//! Sound and damaged logs of several sizes.

use std::ops::ControlFlow;
use std::path::Path;

use super::testing::{publish, put};
use super::*;
use crate::audit::log::key::{Key, test_key};
use crate::audit::{TestFolder, test_folder};

fn entries(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| format!("entry {i}").into_bytes())
        .collect()
}

fn published(count: usize) -> TestFolder {
    let folder = test_folder("reader");
    publish(folder.path(), &entries(count));
    folder
}

fn open(directory: &Path) -> Result<Log, MissingRange> {
    Location::Folder(directory.to_owned()).open(Some(test_key().verifier()))
}

/// All entries of these bundles, in this order.
fn read(log: &Log, bundles: &[u64]) -> Result<Vec<Vec<u8>>, MissingRange> {
    let mut all = Vec::new();
    let flow = log.scan(
        bundles,
        |_, _| true,
        |_, some| {
            all.extend(some.into_iter().map(|raw| raw.bytes));
            ControlFlow::<()>::Continue(())
        },
    )?;
    assert!(flow.is_continue());
    Ok(all)
}

fn read_all(directory: &Path) -> Result<Vec<Vec<u8>>, MissingRange> {
    let log = open(directory)?;
    let bundles: Vec<_> = (0..log.bundles()).collect();
    read(&log, &bundles)
}

#[test]
fn p4_all_entries_under_the_checkpoint_come_in_order() {
    for size in [1, 5, 255, 256, 257, 512, 1_000] {
        assert_eq!(
            read_all(published(size).path()),
            Ok(entries(size)),
            "{size}"
        );
    }
}

#[test]
fn scan_returns_bundles_in_order_and_stops_when_asked() {
    let folder = published(1_500);
    let log = open(folder.path()).unwrap();
    let mut seen = Vec::new();
    let passes = |index: u64, _: &[u8]| index.is_multiple_of(256);
    let scanned = log.scan(&[5, 4, 3, 2, 1, 0], passes, |first, found| {
        assert_eq!(
            found.iter().map(|raw| raw.index).collect::<Vec<_>>(),
            [first]
        );
        seen.push(first);
        match seen.len() {
            4 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(scanned.unwrap().is_break());
    assert_eq!(seen, [1280, 1024, 768, 512]);
}

#[test]
fn the_full_tile_replaces_a_removed_partial_one() {
    let folder = test_folder("reader");
    let old = publish(folder.path(), &entries(300));
    publish(folder.path(), &entries(600));
    std::fs::remove_dir_all(folder.path().join("tile/0/001.p")).unwrap();
    std::fs::remove_dir_all(folder.path().join("tile/entries/001.p")).unwrap();
    put(folder.path(), "checkpoint", &old.sign(&test_key()));
    assert_eq!(read_all(folder.path()), Ok(entries(300)));
}

#[test]
fn p4_every_flipped_bit_of_a_tile_is_reported_with_its_place() {
    let folder = published(300);
    for path in [
        "tile/entries/000",
        "tile/entries/001.p/44",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
    ] {
        let good = std::fs::read(folder.path().join(path)).unwrap();
        for at in (0..good.len()).step_by(97) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            put(folder.path(), path, &bad);
            let hole = read_all(folder.path()).unwrap_err();
            assert_eq!(hole.trouble, Trouble::Damaged, "{path} {at}: {hole}");
        }
        put(folder.path(), path, &good);
    }
    assert_eq!(read_all(folder.path()), Ok(entries(300)));
}

#[test]
fn p4_an_altered_entry_is_named() {
    let folder = published(300);
    let mut bundle = std::fs::read(folder.path().join("tile/entries/001.p/44")).unwrap();
    let at = bundle.windows(9).position(|w| w == b"entry 270").unwrap();
    bundle[at + 6] = b'9';
    put(folder.path(), "tile/entries/001.p/44", &bundle);
    let hole = read_all(folder.path()).unwrap_err();
    assert_eq!(hole.index, Some(270));
    assert!(hole.to_string().contains("tile/entries/001.p/44"), "{hole}");
}

#[test]
fn p4_a_missing_file_is_reported_with_its_place() {
    for (gone, index) in [
        ("tile/entries/000", Some(0)),
        ("tile/entries/001.p/44", Some(256)),
        ("tile/0/000", Some(0)),
        ("tile/0/001.p/44", Some(256)),
        ("tile/1/000.p/1", Some(0)),
    ] {
        let folder = published(300);
        std::fs::remove_file(folder.path().join(gone)).unwrap();
        let hole = read_all(folder.path()).unwrap_err();
        assert_eq!(
            (hole.trouble, hole.index),
            (Trouble::Damaged, index),
            "{gone}"
        );
        assert!(hole.to_string().contains(gone), "{hole}");
    }
}

#[test]
fn p4_a_checkpoint_of_another_key_or_root_is_refused() {
    let folder = published(3);
    let other = Key::generate("lychgate.test/log").unwrap();
    let location = Location::Folder(folder.path().to_owned());
    let refused = location.open(Some(other.verifier())).unwrap_err();
    assert_eq!(refused.trouble, Trouble::Damaged);
    let mut forged = publish(folder.path(), &entries(3));
    forged.root = [7; 32];
    put(folder.path(), "checkpoint", &forged.sign(&test_key()));
    assert!(
        open(folder.path())
            .unwrap_err()
            .to_string()
            .contains("root")
    );
}

#[test]
fn a_young_log_opens_and_an_empty_folder_is_missing() {
    let folder = test_folder("reader");
    assert_eq!(open(folder.path()).unwrap_err().trouble, Trouble::Missing);
    std::fs::create_dir(folder.path().join("journal")).unwrap();
    let log = open(folder.path()).unwrap();
    assert_eq!(
        (log.checkpoint.as_ref(), log.size(), log.bundles()),
        (None, 0, 0)
    );
    let nowhere = open(Path::new("/nowhere/audit")).unwrap_err();
    assert_eq!(nowhere.trouble, Trouble::Missing);
}

#[test]
fn p4_a_file_too_long_for_a_log_is_damage() {
    let folder = published(300);
    let tile = folder.path().join("tile/0/001.p/44");
    std::fs::write(tile, vec![0; 9_000]).unwrap();
    assert_eq!(open(folder.path()).unwrap_err().trouble, Trouble::Damaged);
}
