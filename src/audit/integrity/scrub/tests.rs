//! Tests of the scrub, step by step and without a clock, while the log grows.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::audit::disk::fake::{FakeDisk, interrupt};
use crate::audit::disk::{Access, read_log_file};
use crate::audit::journal::append::PendingEntries;
use crate::audit::journal::segment;
use crate::audit::log::merkle::{leaf, root_of};
use crate::audit::log::tiles::{
    Bundle, FULL, Tile, bundles_at, decode_bundle, decode_tile, encode_tile, tiles_at,
};
use crate::audit::publish::ByHand;
use crate::audit::status::Cause;
use crate::audit::trail::tests::settings;
use crate::audit::writer::store::Store;
use crate::audit::writer::{Writer, open};
use crate::audit::{TestFolder, Trail, by_hand, test_folder};
use crate::clock::Clock;
use crate::metrics::Metrics;

/// The writer and the publisher.
struct Log {
    disk: FakeDisk,
    store: Store,
    publisher: ByHand,
    size: u64,
    _folder: TestFolder,
}

/// A log, and the scrub that reads it.
struct Scene {
    log: Rc<RefCell<Log>>,
    disk: FakeDisk,
    found: Found,
    reader: Reader,
}

impl Log {
    fn new() -> Self {
        by_hand::want();
        let folder = test_folder("scrub");
        let settings = crate::audit::writer::Settings {
            directory: "/audit".into(),
            seen_file: "/kept/audit.key.seen".into(),
            ..settings(folder.path())
        };
        let (disk, clock, metrics) = (FakeDisk::default(), Clock::system(), Metrics::new());
        disk.mount("/kept");
        let trail = Trail::by_hand(&settings, clock, &metrics);
        let writer = Writer {
            disk: Arc::new(disk.clone()),
            settings,
            shared: Arc::clone(trail.shared()),
            metrics,
        };
        let (mut store, _) = open::open(&writer, None).unwrap();
        let publishing = store.publishing.as_mut().unwrap();
        publishing.begin(true).unwrap();
        Self {
            disk,
            publisher: publishing.by_hand().unwrap(),
            store,
            size: 0,
            _folder: folder,
        }
    }

    /// Writes and publishes this many entries; the publisher then removes partial files whose full
    /// file exists.
    fn grow(&mut self, entries: u64) {
        let mut pending = PendingEntries::default();
        for index in self.size..self.size + entries {
            let entry = format!("entry {index:0>200}").into_bytes();
            let leaf = leaf(&entry);
            pending.push(entry, leaf, false);
        }
        self.store.flush(&mut pending).unwrap();
        assert!(self.publisher.publish());
        self.size += entries;
    }
}

impl Scene {
    fn new(size: u64) -> Self {
        let mut log = Log::new();
        while log.size < size {
            log.grow((size - log.size).min(1_000));
        }
        let (disk, found) = (log.disk.clone(), Found::default());
        Self {
            disk,
            reader: Reader::new(&log.store.integrity, &found),
            log: Rc::new(RefCell::new(log)),
            found,
        }
    }

    fn size(&self) -> u64 {
        self.log.borrow().size
    }

    fn grow(&self, entries: u64) {
        self.log.borrow_mut().grow(entries);
    }

    /// Runs one step and returns its time. The log grows by `entries` before the disk operation of
    /// this number in the step, or after all of them.
    fn step(&mut self, entries: u64, number: usize) -> Duration {
        let log = Rc::clone(&self.log);
        let grow = move || log.borrow_mut().grow(entries);
        interrupt(|| self.reader.step(), number, grow)
    }

    fn has_ended(&self) -> bool {
        self.reader.left.is_none()
    }

    fn found(&self) -> Option<Unavailable> {
        self.found.load().as_deref().cloned()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        let root = &self.log.borrow().store.integrity.root;
        let (above, name) = path.rsplit_once('/').unwrap();
        let mut names = above.split('/');
        let folder = names.try_fold(Arc::clone(root), |at, name| at.folder(name, None));
        read_log_file(&*folder.unwrap(), name).unwrap().unwrap()
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let root = &self.log.borrow().store.integrity.root;
        let (above, name) = path.rsplit_once('/').unwrap();
        let mut names = above.split('/');
        let folder = names.try_fold(Arc::clone(root), |at, name| at.folder(name, None));
        let file = folder.unwrap().open(name, Access::Write).unwrap();
        file.write_at(bytes, 0).unwrap();
    }

    /// Changes an entry of this bundle, and its hashes in the tile and in the tile above; returns
    /// the earlier contents.
    fn change(&self, index: u64) -> Vec<(String, Vec<u8>)> {
        let entries = Bundle::at(index, self.size()).unwrap().path();
        let tile = Tile::at(0, index, self.size()).unwrap().path();
        let above = Tile::at(1, index / 256, self.size()).unwrap();
        let before: Vec<_> = [entries, tile, above.path()]
            .into_iter()
            .map(|path| (path.clone(), self.read(&path)))
            .collect();
        let mut bundle = before[0].1.clone();
        bundle[100] ^= 1;
        let changed = decode_bundle(&bundle, FULL).unwrap();
        let leaves: Vec<_> = changed.into_iter().map(leaf).collect();
        let mut hashes = decode_tile(&before[2].1, above.width).unwrap();
        hashes[index as usize % 256] = root_of(&leaves);
        self.write(&before[0].0, &bundle);
        self.write(&before[1].0, &encode_tile(&leaves));
        self.write(&before[2].0, &encode_tile(&hashes));
        before
    }
}

#[test]
fn p3_a_consistent_change_is_found_while_the_log_grows() {
    let cases = [
        // The publisher continues the tile above without the change.
        (
            2_000,
            "tile/1/000.p/",
            "its hash of entries 768 to 1023 does",
        ),
        // The tile above is full, so the publisher does not write the tile above that.
        (
            66_000,
            "tile/2/000.p/",
            "its hash of entries 0 to 65535 does",
        ),
    ];
    for (size, place, what) in cases {
        let mut scene = Scene::new(size);
        let told = scene.change(3);
        let mut steps = 0;
        while scene.found().is_none() {
            scene.step(100, steps % 40);
            assert!(!scene.has_ended(), "after {steps} steps of {size}");
            steps += 1;
        }
        let found = scene.found().unwrap();
        assert_eq!(found.cause, Cause::Altered);
        assert!(found.detail.starts_with(place), "{found:?}");
        assert!(found.detail.contains(what), "{found:?}");
        assert!(told.iter().all(|(path, _)| !found.detail.contains(path)));
    }
}

#[test]
fn a_round_reads_each_byte_once_at_the_scrub_rate() {
    let mut scene = Scene::new(8_000);
    let segments = scene.log.borrow().store.integrity.segments.held();
    assert!(segments.len() > 1);
    let (mut took, mut steps) = (Duration::ZERO, 0);
    let size = loop {
        let size = scene.size();
        let disk = scene.disk.clone();
        took += disk.counted(|| scene.reader.step());
        assert_eq!((scene.found(), scene.reader.wrong), (None, 0));
        steps += 1;
        if scene.has_ended() {
            break size;
        }
        scene.grow(100);
    };
    let bundles = bundles_at(size).map(|bundle| bundle.path());
    let tiles = tiles_at(size).map(|tile| tile.path());
    let names = segments.iter().map(|(number, _)| segment::name(*number));
    let names = names.map(|name| format!("journal/{name}"));
    let mut all = 0;
    for path in bundles.chain(tiles).chain(names) {
        let (read, bytes) = scene.disk.read_of("/audit", &path);
        assert_eq!(read, bytes, "{path}");
        all += bytes;
    }
    // Each step's time is rounded to a nanosecond.
    let time = takes(all) + PAUSE;
    assert!(
        time - took < Duration::from_nanos(steps),
        "{time:?} {took:?}"
    );
    // Besides these files the scrub has read only checkpoints.
    assert!(size > 10_000, "{size}");
    let checkpoints = scene.disk.read() - all;
    assert!(checkpoints <= 10 * 300, "{checkpoints}");
}

#[test]
fn a_round_ends_whichever_partial_file_is_removed() {
    for number in 0..60 {
        let mut scene = Scene::new(600);
        let mut steps = 0;
        while steps == 0 || !scene.has_ended() {
            // The first steps read the two full bundles, the next reads the partial files.
            scene.step(if steps == 2 { 300 } else { 0 }, number);
            let seen = (scene.found(), scene.reader.wrong);
            assert_eq!(seen, (None, 0), "{number}, {steps}");
            steps += 1;
        }
        assert!((3..=5).contains(&steps), "{number}: {steps}");
    }
}

#[test]
fn a_round_ends_even_if_the_log_grows_faster() {
    let mut scene = Scene::new(300);
    let mut steps = 0;
    while steps == 0 || !scene.has_ended() {
        scene.step(300, steps % 40);
        assert_eq!((scene.found(), scene.reader.wrong), (None, 0), "{steps}");
        steps += 1;
    }
    assert!((17..100).contains(&steps), "{steps}");
}

#[test]
fn p3_a_repair_behind_the_scrub_is_noticed() {
    let mut scene = Scene::new(1_500);
    let before = scene.change(3);
    let steps = |scene: &mut Scene| {
        for _ in 0..40 {
            scene.step(0, 0);
        }
    };
    steps(&mut scene);
    // The change includes the tile above, so only the root shows it.
    let found = scene.found().unwrap();
    assert_eq!(found.cause, Cause::Altered);
    assert!(found.detail.starts_with("checkpoint: "), "{found:?}");
    scene.write(&before[2].0, &before[2].1);
    steps(&mut scene);
    let found = scene.found().unwrap();
    assert!(found.detail.starts_with("tile/1/000.p/5: "), "{found:?}");
    for (path, bytes) in &before {
        scene.write(path, bytes);
    }
    steps(&mut scene);
    assert_eq!(scene.found(), None);
}

#[test]
fn a_failed_read_does_not_restart_the_round() {
    let mut scene = Scene::new(1_500);
    let disk = scene.disk.clone();
    let is_read = || {
        let (read, bytes) = disk.read_of("/audit", "tile/entries/000");
        read == bytes
    };
    while !is_read() {
        disk.counted(|| scene.reader.step());
    }
    disk.fail("read", 0, 1, io::ErrorKind::Other);
    disk.counted(|| scene.reader.step());
    assert!(scene.has_ended());
    assert!(!scene.reader.unread.is_empty());
    let mut goes_on = true;
    while goes_on {
        disk.counted(|| scene.reader.step());
        assert_eq!((scene.found(), scene.reader.wrong), (None, 0));
        goes_on = !scene.has_ended();
    }
    assert!(is_read(), "once");
}

#[test]
fn p3_a_segment_fault_is_reported_until_it_is_repaired() {
    let mut scene = Scene::new(3_000);
    let (number, _) = scene.log.borrow().store.integrity.segments.held()[0];
    let path = format!("journal/{}", segment::name(number));
    let before = scene.read(&path);
    let mut changed = before.clone();
    changed[200] ^= 1;
    scene.write(&path, &changed);
    scene.reader.step();
    assert_eq!(scene.found(), None);
    scene.reader.step();
    assert_eq!(scene.found().unwrap().cause, Cause::Altered);
    // A failed read shows nothing about the content.
    scene.disk.fail("read", 0, 1, io::ErrorKind::Other);
    scene.reader.step();
    assert_eq!(scene.found().unwrap().cause, Cause::Altered);
    scene.write(&path, &before);
    scene.reader.step();
    assert_eq!(scene.found(), None);
}
