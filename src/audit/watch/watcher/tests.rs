//! Tests of the watcher over a real folder, looked at by hand.

use std::path::PathBuf;

use super::super::Watch;
use super::*;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::log::key::test_key;
use crate::audit::read::verify::sample;
use crate::audit::{TestFolder, test_folder};

/// Full tiles on level 0, partial ones on 0 and 1.
const SIZE: u64 = 1_000;
/// Every wait for the watcher ends here, as a failure.
const PATIENCE: Duration = Duration::from_secs(120);

struct Scene {
    watcher: Watcher,
    folder: TestFolder,
}

impl Scene {
    fn new() -> Self {
        Self::of(64)
    }

    /// One that watches so many folders at most.
    fn of(most: usize) -> Self {
        let folder = test_folder("watch");
        publish(&folder, &[SIZE]);
        let root = RealDisk.folder(folder.path(), None).unwrap();
        let mut folders = Folders::new(most).unwrap();
        folders.watch_root(&*root).unwrap();
        let published = Published::new(&root, &Arc::new(test_key()));
        let stop = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let (stop, found) = (Arc::new(stop), Arc::default());
        let mut watcher = Watcher::new((published, Arc::default()), folders, &stop, &found);
        watcher.begin();
        Self { watcher, folder }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn flip(&self, path: &str) {
        let mut bytes = std::fs::read(self.at(path)).unwrap();
        bytes[30] ^= 1;
        std::fs::write(self.at(path), bytes).unwrap();
    }

    /// Looks until nothing is in doubt but what is told.
    fn settle(&mut self) -> Option<Closed> {
        let begin = Instant::now();
        loop {
            let told = self.watcher.look(false);
            let is_all = self.watcher.lost.is_none() && self.watcher.doubts.len() == 0;
            if told.is_some() || is_all {
                return told;
            }
            assert!(begin.elapsed() < PATIENCE, "it is never judged");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn settles_as(&mut self, cause: Cause, path: &str) {
        let found = self.settle().unwrap();
        assert_eq!(found.cause, cause, "{found:?}");
        assert!(found.detail.contains(path), "{found:?}");
    }

    /// Looks until what was told is right again.
    fn comes_back(&mut self) {
        let begin = Instant::now();
        while self.watcher.look(false).is_some() {
            assert!(begin.elapsed() < PATIENCE, "it is never right");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(self.settle(), None);
    }
}

fn publish(folder: &TestFolder, sizes: &[u64]) {
    let entries = (0..sizes[sizes.len() - 1]).map(|i| format!("entry number {i}").into_bytes());
    let entries: Vec<_> = entries.collect();
    sample::publish(folder.path(), &entries, sizes, &test_key(), true);
}

#[test]
fn p3_what_is_touched_is_judged_and_told_until_it_is_right() {
    let mut scene = Scene::new();
    for path in ["tile/0/001", "tile/entries/002", "tile/0/003.p/232"] {
        scene.flip(path);
        scene.settles_as(Cause::Altered, path);
        scene.flip(path);
        scene.comes_back();
    }
    std::fs::remove_file(scene.at("tile/0/001")).unwrap();
    scene.settles_as(Cause::Unlinked, "tile/0/001");
}

#[test]
fn p3_a_checkpoint_that_is_altered_or_set_back_is_told() {
    let mut scene = Scene::new();
    let newest = std::fs::read(scene.at("checkpoint")).unwrap();
    scene.flip("checkpoint");
    scene.settles_as(Cause::Altered, "checkpoint");
    std::fs::write(scene.at("checkpoint"), &newest).unwrap();
    scene.comes_back();
    publish(&scene.folder, &[SIZE - 1]);
    scene.settles_as(Cause::SecondWriter, "999 entries");
    std::fs::write(scene.at("checkpoint"), &newest).unwrap();
    scene.comes_back();
}

#[test]
fn what_is_published_is_no_alarm_and_is_watched_from_then_on() {
    let mut scene = Scene::new();
    for size in [1_001, 1_300, 2_048, 2_050] {
        publish(&scene.folder, &[SIZE, size]);
        assert_eq!(scene.settle(), None);
    }
    for path in ["tile/0/007", "tile/entries/008.p/2", "tile/1/000.p/8"] {
        scene.flip(path);
        scene.settles_as(Cause::Altered, path);
        scene.flip(path);
        scene.comes_back();
    }
}

#[test]
fn p3_what_the_publisher_put_there_is_not_read_again_and_any_other_file_is() {
    let mut scene = Scene::new();
    let (path, passing) = ("tile/0/001", scene.at("passing"));
    let place = |scene: &Scene| {
        std::fs::copy(scene.at(path), &passing).unwrap();
        let is = scene.watcher.published.look("passing").unwrap().unwrap();
        scene.watcher.placed.note(path, is);
        std::fs::rename(&passing, scene.at(path)).unwrap();
    };
    place(&scene);
    scene.watcher.take_touched();
    assert_eq!(scene.watcher.doubts.len(), 0);
    // Written to behind the move.
    place(&scene);
    scene.flip(path);
    scene.settles_as(Cause::Altered, path);
    scene.flip(path);
    scene.comes_back();
    // Another moved over it.
    place(&scene);
    std::fs::write(&passing, b"other").unwrap();
    std::fs::rename(&passing, scene.at(path)).unwrap();
    scene.settles_as(Cause::Truncated, path);
}

#[test]
fn p3_where_events_were_lost_every_file_is_judged() {
    let mut scene = Scene::new();
    scene.flip("tile/0/002");
    // As if the kernel had kept it to itself.
    scene.watcher.folders.touched(|_| ());
    assert_eq!(scene.settle(), None);
    scene.watcher.look_at_all();
    scene.settles_as(Cause::Altered, "tile/0/002");
    scene.flip("tile/0/002");
    scene.comes_back();
}

#[test]
fn p3_a_folder_in_the_place_of_another_is_told_until_all_in_it_is_judged() {
    let mut scene = Scene::new();
    let (path, held) = (scene.at("tile/0"), scene.at("held"));
    std::fs::rename(&path, &held).unwrap();
    scene.settles_as(Cause::FolderMoved, "tile/0");
    std::fs::create_dir(&path).unwrap();
    for name in ["000", "001", "002"] {
        std::fs::copy(held.join(name), path.join(name)).unwrap();
    }
    // One is missing still.
    std::thread::sleep(Duration::from_millis(500));
    assert!(scene.settle().is_some());
    std::fs::create_dir(path.join("003.p")).unwrap();
    std::fs::copy(held.join("003.p/232"), path.join("003.p/232")).unwrap();
    scene.comes_back();
    scene.flip("tile/0/001");
    scene.settles_as(Cause::Altered, "tile/0/001");
}

#[test]
fn no_more_folders_are_watched_than_the_bound_and_the_others_are_no_alarm() {
    // The log's own folder, `tile`, and one below.
    let mut scene = Scene::of(3);
    assert!(scene.watcher.folders.is_partial());
    for path in ["tile/0/001", "tile/entries/001"] {
        scene.flip(path);
    }
    let found = scene.settle();
    assert!(found.is_none_or(|found| found.cause == Cause::Altered));
    publish(&scene.folder, &[SIZE, 2_000]);
    scene.settle();
}

#[test]
fn the_thread_tells_and_ends_when_it_is_dropped() {
    let folder = test_folder("watch");
    publish(&folder, &[SIZE]);
    let root = RealDisk.folder(folder.path(), None).unwrap();
    let watch = Watch::begin(&root, &Arc::new(test_key()), &Arc::default()).unwrap();
    let begin = Instant::now();
    while watch.found().is_none() {
        // Again and again: the thread may only now have begun to watch.
        std::fs::write(folder.path().join("tile/0/001"), b"other").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert!(begin.elapsed() < PATIENCE);
    }
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        drop(watch);
        let _ = done.send(());
    });
    assert!(ended.recv_timeout(PATIENCE).is_ok(), "it goes on");
}
