//! Tests of the judgement of one file, over logs whose right edge has three levels.

use std::path::{Path, PathBuf};

use super::*;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::log::key::test_key;
use crate::audit::log::tiles::{bundles_at, encode_bundle, encode_tile, tiles_at};
use crate::audit::read::verify::sample;
use crate::audit::{TestFolder, test_folder};

/// Full tiles on levels 0 and 1, partial ones on 0, 1 and 2.
const SIZE: u64 = 66_300;
/// One file of each kind.
const KINDS: &[&str] = &[
    "tile/entries/007",
    "tile/entries/258.p/252",
    "tile/0/007",
    "tile/0/258.p/252",
    "tile/1/000",
    "tile/1/001.p/2",
    "tile/2/000.p/1",
];

struct Scene {
    folder: TestFolder,
    published: Published,
}

impl Scene {
    fn new() -> Self {
        let folder = test_folder("judge");
        sample::publish(
            folder.path(),
            &entries(),
            &[65_900, SIZE],
            &test_key(),
            false,
        );
        let root = RealDisk.folder(folder.path(), None).unwrap();
        let published = Published::new(&root, &Arc::new(test_key()));
        Self { folder, published }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn judge(&self, path: &str) -> Result<Judged, Closed> {
        Judge::new(&self.published).unwrap().judge(path)
    }

    /// The cause, and the file that is named.
    fn found(&self, path: &str) -> (Cause, String) {
        let found = self.judge(path).unwrap_err();
        let named = found.detail.split([':', ' ']).next().unwrap();
        (found.cause, named.to_owned())
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let was = std::fs::read(self.at(path)).unwrap();
        let mut bytes = was.clone();
        change(&mut bytes);
        std::fs::write(self.at(path), bytes).unwrap();
        was
    }
}

fn entries() -> Vec<Vec<u8>> {
    (0..SIZE)
        .map(|i| format!("entry {i}").into_bytes())
        .collect()
}

fn put_hash(at: usize, hash: Hash) -> impl FnOnce(&mut Vec<u8>) {
    move |bytes| bytes[at * 32..][..32].copy_from_slice(&hash)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

#[test]
fn p3_every_file_of_a_sound_log_is_right_and_partial_files_of_older_checkpoints_too() {
    let scene = Scene::new();
    let mut judge = Judge::new(&scene.published).unwrap();
    let mut judged = 0;
    for file in files_below(&scene.at("tile")) {
        let path = file.strip_prefix(scene.folder.path()).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(judge.judge(path), Ok(Judged::Right), "{path}");
        judged += 1;
    }
    let implied = tiles_at(SIZE).count() + bundles_at(SIZE).count();
    assert!(
        judged > implied,
        "older ones stand there: {judged} {implied}"
    );
}

#[test]
fn p3_each_kind_of_file_is_named_when_it_is_altered_cut_lengthened_or_gone() {
    let scene = Scene::new();
    for path in KINDS {
        let flip = |bytes: &mut Vec<u8>| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        };
        let was = scene.change(path, flip);
        assert_eq!(scene.found(path), (Cause::Altered, (*path).to_owned()));
        let half = was.len() / 2;
        std::fs::write(scene.at(path), &was[..half]).unwrap();
        assert_eq!(scene.found(path), (Cause::Truncated, (*path).to_owned()));
        std::fs::write(scene.at(path), [was.as_slice(), b"?"].concat()).unwrap();
        assert_eq!(scene.found(path), (Cause::Altered, (*path).to_owned()));
        std::fs::remove_file(scene.at(path)).unwrap();
        assert_eq!(scene.found(path), (Cause::Unlinked, (*path).to_owned()));
        std::os::unix::fs::symlink("elsewhere", scene.at(path)).unwrap();
        assert_eq!(scene.found(path), (Cause::Replaced, (*path).to_owned()));
        std::fs::remove_file(scene.at(path)).unwrap();
        std::fs::write(scene.at(path), was).unwrap();
        assert_eq!(scene.judge(path), Ok(Judged::Right));
    }
}

#[test]
fn p3_a_file_that_is_right_does_not_hide_one_above_it() {
    let scene = Scene::new();
    for (above, below) in [
        ("tile/0/007", "tile/entries/007"),
        ("tile/1/000", "tile/0/009"),
        ("tile/1/000", "tile/entries/007"),
        ("tile/2/000.p/1", "tile/entries/007"),
        ("tile/0/258.p/252", "tile/entries/258.p/252"),
        ("tile/1/001.p/2", "tile/2/000.p/1"),
    ] {
        let was = scene.change(above, |bytes| bytes[7] ^= 1);
        assert_eq!(scene.found(below), (Cause::Altered, above.to_owned()));
        std::fs::write(scene.at(above), was).unwrap();
    }
}

#[test]
fn p3_files_that_are_altered_together_are_found_wherever_they_stop_short_of_the_root() {
    let scene = Scene::new();
    let forged = b"entry of another history".to_vec();
    let mut part = entries()[7 * 256..8 * 256].to_vec();
    part[3] = forged.clone();
    std::fs::write(scene.at("tile/entries/007"), encode_bundle(&part).unwrap()).unwrap();
    assert_eq!(scene.found("tile/entries/007").1, "tile/entries/007");
    // Each step upwards: the file that the rest of the tree disagrees with is the topmost one.
    let mut hash = leaf(&forged);
    let mut place = 7 * 256 + 3;
    for path in ["tile/0/007", "tile/1/000", "tile/2/000.p/1"] {
        scene.change(path, put_hash(place % 256, hash));
        for asked in ["tile/entries/007", path] {
            let (cause, named) = scene.found(asked);
            assert_eq!(cause, Cause::Altered);
            // Where all are altered, up to the edge, nothing but the root disagrees.
            let wanted = if path.starts_with("tile/2") {
                asked
            } else {
                path
            };
            assert_eq!(named, wanted);
        }
        let bytes = std::fs::read(scene.at(path)).unwrap();
        hash = root_of(&decode_tile(&bytes, (bytes.len() / 32) as u16).unwrap());
        place /= 256;
    }
}

#[test]
fn a_bundle_whose_earlier_entries_differ_was_not_merely_cut() {
    let scene = Scene::new();
    let path = "tile/entries/007";
    scene.change(path, |bytes| {
        bytes[5] ^= 1;
        bytes.truncate(bytes.len() / 2);
    });
    assert_eq!(scene.found(path), (Cause::Altered, path.to_owned()));
}

#[test]
fn partial_files_of_older_checkpoints_may_go_and_may_not_change() {
    let scene = Scene::new();
    for path in ["tile/0/257.p/108", "tile/entries/257.p/108"] {
        scene.change(path, |bytes| bytes[9] ^= 1);
        assert_eq!(scene.found(path), (Cause::Altered, path.to_owned()));
        std::fs::remove_file(scene.at(path)).unwrap();
        assert_eq!(scene.judge(path), Ok(Judged::Right));
    }
}

#[test]
fn what_no_checkpoint_covers_yet_is_judged_later_and_other_names_never() {
    let scene = Scene::new();
    for path in ["tile/0/258", "tile/entries/258.p/253", "tile/1/002"] {
        assert_eq!(scene.judge(path), Ok(Judged::Right), "{path} is not there");
        std::fs::write(scene.at("tile/x"), b"").unwrap();
        std::fs::create_dir_all(scene.at(path).parent().unwrap()).unwrap();
        std::fs::write(scene.at(path), encode_tile(&[])).unwrap();
        assert_eq!(scene.judge(path), Ok(Judged::Later), "{path}");
    }
    for path in ["tile/x", "tile/0/7", "tile", "tile/entries/007.p/0"] {
        assert_eq!(scene.judge(path), Ok(Judged::Right), "{path}");
    }
}

#[test]
fn a_log_that_has_grown_meanwhile_is_not_judged_by_what_it_was() {
    let scene = Scene::new();
    let mut judge = Judge::new(&scene.published).unwrap();
    let mut entries = entries();
    entries.push(b"one more".to_vec());
    let newer = sample::checkpoint(&entries, &test_key()).sign(&test_key());
    std::fs::write(scene.at("checkpoint"), newer).unwrap();
    std::fs::remove_dir_all(scene.at("tile/0/258.p")).unwrap();
    for path in ["tile/0/258.p/252", "tile/entries/007"] {
        let found = judge.judge(path).unwrap_err();
        assert!(!found.cause.is_custody(), "{path}: {found:?}");
    }
}
