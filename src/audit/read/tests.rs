//! Sound and damaged logs of several sizes.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

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

/// All entries and missing ranges.
fn found(directory: &Path) -> Result<Vec<Found>, MissingRange> {
    let log = open(directory)?;
    let mut all = Vec::new();
    let flow = log.scan(
        0..log.bundles(),
        |_, _| true,
        |_, some| {
            all.extend(some);
            ControlFlow::<()>::Continue(())
        },
    );
    assert!(flow.is_continue());
    Ok(all)
}

/// All entries, or the first missing range.
fn read_all(directory: &Path) -> Result<Vec<Vec<u8>>, MissingRange> {
    let found = found(directory)?.into_iter();
    found.map(|found| found.map(|raw| raw.bytes)).collect()
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
    let scanned = log.scan((0..6).rev(), passes, |first, found| {
        let indexes = found.iter().map(|raw| raw.as_ref().unwrap().index);
        assert_eq!(indexes.collect::<Vec<_>>(), [first]);
        seen.push(first);
        match seen.len() {
            4 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert!(scanned.is_break());
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
fn p4_a_missing_bundle_hides_only_its_entries() {
    for (gone, range) in [
        ("tile/entries/000", 0..256),
        ("tile/entries/001.p/44", 256..300),
    ] {
        let folder = published(300);
        std::fs::remove_file(folder.path().join(gone)).unwrap();
        let hole = read_all(folder.path()).unwrap_err();
        assert_eq!(hole.trouble, Trouble::Damaged, "{gone}");
        assert_eq!((hole.index, hole.end), (Some(range.start), Some(range.end)));
        assert!(hole.to_string().contains(gone), "{hole}");
        let found = found(folder.path()).unwrap();
        let read = found.iter().flatten().map(|raw| raw.index);
        let rest = (0..300).filter(|index| !range.contains(index));
        assert!(read.eq(rest), "{gone}");
    }
}

/// With `change`d tiles, all entries are read, and one fault is reported. The writer's reader fails.
#[track_caller]
fn mended(folder: &TestFolder, count: usize, change: impl FnOnce(&Path)) -> MissingRange {
    change(folder.path());
    let found = found(folder.path()).unwrap();
    let (read, faults): (Vec<_>, Vec<_>) = found.into_iter().partition(Result::is_ok);
    assert!(
        read.into_iter()
            .flatten()
            .map(|raw| raw.bytes)
            .eq(entries(count))
    );
    // Two threads may meet the fault at once.
    let (fault, more) = faults.split_first().expect("the fault is told");
    assert!(more.iter().all(|another| another == fault), "{faults:?}");
    let fault = fault.as_ref().unwrap_err();
    assert_eq!((fault.index, fault.end), (None, None), "{fault}");
    let files = FolderFiles::of_log(folder.path()).unwrap();
    let log = open(folder.path()).unwrap();
    let strict = Reader::open(Arc::new(files), log.checkpoint.as_ref(), OnDamage::Fail);
    let failed = strict.and_then(|reader| {
        let bundles = 0..count.div_ceil(256) as u64;
        bundles
            .into_iter()
            .try_for_each(|bundle| reader.bundle(bundle, |_| ()))
    });
    assert!(failed.is_err());
    fault.clone()
}

#[test]
fn p4_a_damaged_tile_hides_no_entry() {
    let flip = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[30] ^= 1;
        std::fs::write(path, bytes).unwrap();
    };
    let long = |path: &Path| std::fs::write(path, vec![0; 9_000]).unwrap();
    let remove = |path: &Path| std::fs::remove_file(path).unwrap();
    for tile in ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"] {
        for change in [&flip as &dyn Fn(&Path), &long, &remove] {
            let fault = mended(&published(300), 300, |path| change(&path.join(tile)));
            let is_told = fault.file.as_deref() == Some(tile) || fault.what.contains("root");
            assert!(is_told, "{tile}: {fault}");
        }
    }
}

#[test]
fn p4_a_damaged_tile_of_a_higher_level_hides_no_entry() {
    let count = 65_536 + 300;
    let folder = published(count);
    let remove = |path: &Path| std::fs::remove_file(path.join("tile/1/000")).unwrap();
    let fault = mended(&folder, count, remove);
    assert_eq!(fault.file.as_deref(), Some("tile/1/000"));
    let flip = |path: &Path| put(path, "tile/1/000", &[7; 8_192]);
    assert!(mended(&folder, count, flip).what.contains("altered"));
}

#[test]
fn p4_a_damaged_tile_is_not_mended_from_a_damaged_bundle() {
    let folder = published(300);
    put(folder.path(), "tile/0/000", &[7; 8_192]);
    let path = folder.path().join("tile/entries/000");
    let mut bundle = std::fs::read(&path).unwrap();
    bundle[5] ^= 1;
    std::fs::write(&path, bundle).unwrap();
    let hole = read_all(folder.path()).unwrap_err();
    assert_eq!((hole.index, hole.end), (Some(0), Some(256)));
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
    let hole = read_all(folder.path()).unwrap_err();
    assert_eq!(hole.trouble, Trouble::Damaged);
}
