//! A published log: sound, and after tampering with its tiles, bundles, checkpoint or journal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::sample::{checkpoint, long, publish, write_log, write_pruned};
use super::*;
use crate::audit::TestFolder;
use crate::audit::log::tiles::encode_bundle;

/// 300 entries, published at 5, 255, 260 and 300, which gives partial tiles of every kind.
fn sample() -> (TestFolder, Vec<u8>) {
    let folder = test_folder("published");
    let newest = write_log(folder.path(), &long(300), &[5, 255, 260, 300]);
    (folder, newest)
}

fn failure(change: impl FnOnce(&Path)) -> Failure {
    let (folder, _) = sample();
    assert!(verify(folder.path()).is_ok(), "before the change");
    change(folder.path());
    verify(folder.path()).expect_err("tampering must be found")
}

fn flip(directory: &Path, file: &str, byte: usize) {
    let path = directory.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[byte] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn remove(directory: &Path, file: &str) {
    std::fs::remove_file(directory.join(file)).unwrap();
}

fn against(directory: &Path, kept: &Checkpoint) -> Result<Summary, Failure> {
    let key = test_key();
    let job = Job {
        location: &Location::Folder(directory.to_owned()),
        key: None,
        verifier: Some(key.verifier()),
        against: Some(kept),
    };
    check(&job, |_, _, _| {})
}

#[test]
fn p4_a_published_log_verifies_with_its_covered_size() {
    let (folder, _) = sample();
    let summary = verify(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.covered), (300, Some(300)));
    let root = STANDARD.encode(checkpoint(&long(300), &test_key()).root);
    assert_eq!(summary.root, Some(root));
}

#[test]
fn entries_beyond_the_checkpoint_come_from_the_journal() {
    let folder = test_folder("published");
    write_log(folder.path(), &long(300), &[270]);
    let summary = verify(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.covered), (300, Some(270)));
}

#[test]
fn tiles_that_are_ahead_of_the_checkpoint_are_no_fault() {
    let (folder, _) = sample();
    let older = checkpoint(&long(300)[..260], &test_key()).sign(&test_key());
    std::fs::write(folder.path().join(CHECKPOINT), older).unwrap();
    assert_eq!(verify(folder.path()).unwrap().covered, Some(260));
}

#[test]
fn p4_only_a_young_log_needs_no_checkpoint() {
    let folder = test_folder("published");
    write_log(folder.path(), &long(300), &[300]);
    remove(folder.path(), CHECKPOINT);
    assert_eq!(verify(folder.path()).unwrap().covered, None);
    let folder = test_folder("published");
    write_log(folder.path(), &long(1_300), &[1_300]);
    remove(folder.path(), CHECKPOINT);
    let failure = verify(folder.path()).unwrap_err();
    assert_eq!(failure.trouble, Trouble::Missing);
    assert_eq!(failure.file.as_deref(), Some(CHECKPOINT));
    std::fs::remove_dir_all(folder.path().join("tile")).unwrap();
    assert_eq!(verify(folder.path()).unwrap_err().trouble, Trouble::Missing);
}

#[test]
fn p4_a_flipped_bit_in_an_entry_names_its_index() {
    for (index, file) in [(0, "tile/entries/000"), (299, "tile/entries/001.p/44")] {
        let entries = long(300);
        let first = index / 256 * 256;
        let before = encode_bundle(&entries[first..index]).unwrap().len();
        // A later partial bundle repeats these entries; then the failure names that file.
        let failure = failure(|folder| flip(folder, file, before + 30));
        assert_eq!(failure.index, Some(index as u64), "{failure}");
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
    }
}

#[test]
fn p4_a_flipped_bit_in_an_old_bundle_names_the_file() {
    for file in ["tile/entries/000.p/5", "tile/entries/001.p/4"] {
        let failure = failure(|folder| flip(folder, file, 30));
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
    }
}

#[test]
fn p4_a_flipped_bit_in_a_tile_names_the_file() {
    for (file, byte, index) in [
        ("tile/0/000", 7 * 32, 7),
        ("tile/0/000.p/255", 254 * 32, 254),
        ("tile/0/001.p/44", 0, 256),
        ("tile/0/001.p/4", 3 * 32, 259),
        ("tile/1/000.p/1", 0, 0),
    ] {
        let failure = failure(|folder| flip(folder, file, byte));
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
        assert_eq!(failure.index, Some(index), "{failure}");
    }
}

#[test]
fn p4_a_missing_tile_or_bundle_is_named() {
    for file in [
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ] {
        let failure = failure(|folder| remove(folder, file));
        assert_eq!(failure.trouble, Trouble::Missing);
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
    }
}

#[test]
fn p4_a_changed_length_names_its_entry() {
    let entries = long(300);
    let before = encode_bundle(&entries[..7]).unwrap().len();
    for byte in [before, before + 1] {
        let failure = failure(|folder| flip(folder, "tile/entries/000", byte));
        assert_eq!(failure.index, Some(7), "{failure}");
    }
}

#[test]
fn p4_an_entry_dropped_everywhere_contradicts_the_root() {
    // Rewrites the whole log without an entry, and keeps only the checkpoint.
    let (folder, newest) = sample();
    let mut entries = long(301);
    entries.remove(9);
    std::fs::remove_dir_all(folder.path().join("tile")).unwrap();
    publish(folder.path(), &entries, &[300], &test_key(), false);
    std::fs::write(folder.path().join(CHECKPOINT), newest).unwrap();
    let failure = verify(folder.path()).unwrap_err();
    assert_eq!(failure.index, Some(9), "{failure}");
}

/// Creates an empty file, or a folder if the path ends with a slash.
fn put(folder: &Path, path: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    match path.to_str().unwrap().ends_with('/') {
        true => std::fs::create_dir(path).unwrap(),
        false => std::fs::write(path, "").unwrap(),
    }
}

#[test]
fn files_of_other_programs_are_noted_and_no_fault() {
    let (folder, _) = sample();
    let sound = verify(folder.path()).unwrap();
    let others = [
        "#checkpoint#",
        ".DS_Store",
        "journal/.floor.swp",
        "journal/0000000001~",
        "lost+found/",
        "tile/.DS_Store",
        "tile/0/.000.swp",
        "tile/0/000.bak",
        "tile/0/000.p/lost+found/",
        "tile/0/000~",
        "tile/64",
        "tile/entries/000.tmp/",
        "tile/entries/lost+found/",
        "tile/lost+found/",
        "tmp/.DS_Store",
    ];
    for path in others {
        put(folder.path(), path);
    }
    let found = verify(folder.path()).unwrap();
    let first = others.map(|path| path.trim_end_matches('/').to_owned());
    assert_eq!(found.other_files.count, others.len() as u64);
    assert_eq!(found.other_files.first, first[..10]);
    let other_files = sound.other_files.clone();
    assert_eq!(
        Summary {
            other_files,
            ..found
        },
        sound
    );
}

#[test]
fn p4_a_file_with_a_name_like_a_tile_is_found() {
    for path in [
        "tile/0/000.p/300",
        "tile/0/x000/001",
        "tile/0/003/",
        "tile/0/003.p",
        "tile/3",
        "tile/entries/x000",
        "tile/entries/000.p/007",
    ] {
        let failure = failure(|folder| put(folder, path));
        let file = path.trim_end_matches('/');
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
        assert_eq!(failure.trouble, Trouble::Damaged);
    }
}

#[test]
fn p4_a_tile_or_bundle_past_the_last_entry_is_found() {
    for file in [
        "tile/entries/001.p/45",
        "tile/0/001.p/45",
        "tile/0/002",
        "tile/2/000.p/1",
    ] {
        let failure = failure(|folder| {
            let width = file.rsplit('/').next().unwrap().parse().unwrap_or(256);
            let known = std::fs::read(folder.join("tile/0/001.p/44")).unwrap();
            let mut bytes = vec![0; width * 32];
            if file == "tile/0/001.p/45" {
                bytes[..known.len()].copy_from_slice(&known);
            }
            std::fs::write(folder.join(file), bytes)
                .or_else(|_| {
                    std::fs::create_dir_all(folder.join(file).parent().unwrap())?;
                    std::fs::write(folder.join(file), vec![0; width * 32])
                })
                .unwrap();
        });
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
    }
}

#[test]
fn p4_a_journal_that_ends_before_the_checkpoint_is_found() {
    let (folder, _) = sample();
    let batches = [long(300)[..290].to_vec()];
    write_batches(folder.path(), &batches, &test_key());
    let failure = verify(folder.path()).unwrap_err();
    assert_eq!(failure.index, Some(290), "{failure}");
}

#[test]
fn p4_an_altered_last_batch_under_the_checkpoint_is_found() {
    let failure = failure(|directory| flip(directory, "journal/0000000001", 200));
    assert_eq!(failure.trouble, Trouble::Damaged);
}

#[test]
fn p4_a_journal_that_holds_another_entry_than_the_log_is_found() {
    let (folder, _) = sample();
    let mut entries = long(300);
    entries[11] = entries[13].clone();
    write_batches(folder.path(), &[entries], &test_key());
    let failure = verify(folder.path()).unwrap_err();
    assert_eq!(failure.index, Some(11), "{failure}");
    assert!(failure.place.is_some());
}

#[test]
fn a_pruned_journal_is_sound_and_a_gap_is_a_fault() {
    let folder = test_folder("published");
    let batches: Vec<_> = long(300).chunks(50).map(<[_]>::to_vec).collect();
    write_log(folder.path(), &long(300), &[250]);
    std::fs::remove_dir_all(folder.path().join(crate::audit::disk::names::JOURNAL)).unwrap();
    write_pruned(folder.path(), &batches, 5, &test_key());
    let summary = verify(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.journal), (300, Some(250)));
    publish(folder.path(), &long(300), &[249], &test_key(), false);
    let failure = verify(folder.path()).unwrap_err();
    assert_eq!(
        (failure.trouble, failure.index),
        (Trouble::Missing, Some(249))
    );
}

#[test]
fn a_copy_of_only_checkpoint_and_tiles_verifies() {
    let (folder, _) = sample();
    std::fs::remove_dir_all(folder.path().join(crate::audit::disk::names::JOURNAL)).unwrap();
    assert_eq!(verify(folder.path()).unwrap_err().trouble, Trouble::Missing);
    remove(folder.path(), "lock");
    assert_eq!(verify(folder.path()).unwrap().entries, 300);
}

#[test]
fn p4_every_bit_of_the_checkpoint_counts() {
    let (folder, newest) = sample();
    for bit in 0..newest.len() * 8 {
        let mut bad = newest.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(folder.path().join(CHECKPOINT), bad).unwrap();
        let failure = verify(folder.path()).expect_err("bit");
        assert_eq!(failure.file.as_deref(), Some(CHECKPOINT), "bit {bit}");
    }
}

/// Verifies the log as a server of its files presents it: without a listing.
fn served(directory: &Path) -> Result<Summary, Failure> {
    let files = FolderFiles::open(directory).unwrap();
    let key = test_key();
    let job = Job {
        location: &Location::Published(Arc::new(files)),
        key: None,
        verifier: Some(key.verifier()),
        against: None,
    };
    check(&job, |_, _, _| {})
}

#[test]
fn p4_a_log_verifies_from_served_files_alone() {
    let implied = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ];
    let (folder, _) = sample();
    let summary = served(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.covered), (300, Some(300)));
    for file in implied {
        let (folder, _) = sample();
        flip(folder.path(), file, 31);
        assert_eq!(served(folder.path()).unwrap_err().trouble, Trouble::Damaged);
        remove(folder.path(), file);
        let failure = served(folder.path()).unwrap_err();
        assert_eq!(failure.trouble, Trouble::Missing, "{failure}");
        assert_eq!(failure.file.as_deref(), Some(file), "{failure}");
    }
}

#[test]
fn a_served_log_that_has_grown_verifies_by_its_full_tiles() {
    let (folder, _) = sample();
    publish(folder.path(), &long(600), &[600], &test_key(), true);
    for partial in ["tile/0/001.p", "tile/entries/001.p"] {
        let _ = std::fs::remove_dir_all(folder.path().join(partial));
    }
    let older = checkpoint(&long(300), &test_key()).sign(&test_key());
    std::fs::write(folder.path().join(CHECKPOINT), older).unwrap();
    let summary = served(folder.path()).unwrap();
    assert_eq!((summary.entries, summary.covered), (300, Some(300)));
    flip(folder.path(), "tile/0/001", 31);
    assert!(served(folder.path()).is_err());
}

mod kept {
    use super::*;

    #[test]
    fn p4_a_log_is_consistent_with_every_kept_checkpoint() {
        let (folder, _) = sample();
        for size in [0, 1, 5, 255, 256, 257, 299, 300] {
            let kept = checkpoint(&long(300)[..size], &test_key());
            assert!(against(folder.path(), &kept).is_ok(), "{size}");
        }
    }

    #[test]
    fn p4_a_rolled_back_log_is_found() {
        let (folder, _) = sample();
        let kept = checkpoint(&long(301), &test_key());
        let failure = against(folder.path(), &kept).unwrap_err();
        assert!(failure.what.contains("rolled back"), "{failure}");
    }

    #[test]
    fn p4_a_forked_log_is_found() {
        let (folder, _) = sample();
        for size in [1, 256, 300] {
            let mut entries = long(size);
            entries[size - 1] = b"another history".to_vec();
            let kept = checkpoint(&entries, &test_key());
            let failure = against(folder.path(), &kept).unwrap_err();
            assert!(failure.what.contains("another history"), "{failure}");
        }
    }
}
