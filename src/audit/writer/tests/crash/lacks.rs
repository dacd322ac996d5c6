//! Reads that fail for want of descriptors, or by the disk's own fault: nobody has touched a file, so
//! none is said to be altered, and deletions are taken again once the reads work.

use rustix::io::Errno;

use super::*;
use crate::audit::integrity::published_log::{PublishedLogCheck, ROOT};
use crate::audit::status::Unavailable;

/// The read that fails, counted from the point of a story, and its result.
#[derive(Clone, Copy, Debug)]
struct Lack {
    read: usize,
    times: usize,
    errno: Errno,
}

impl Lack {
    /// The story is at its point: the reads fail from now on.
    fn begin(self, disk: &FakeDisk) {
        disk.fail_reads(self.read, self.times, self.errno);
    }
}

/// Tells the story once for each read after its turning point. That read fails, alone or with those that follow. The
/// story returns the number of failed steps at the turning point and at the end.
fn for_each_read(mut story: impl FnMut(Lack) -> (usize, usize)) {
    for (errno, times) in [(Errno::IO, 1), (Errno::MFILE, 12)] {
        let lacks = (0..).map(|read| Lack { read, times, errno });
        let told = lacks.take_while(|lack| {
            let (before, after) = story(*lack);
            after > before
        });
        let told = told.count();
        assert!(told > 5, "{errno:?}, {times} times: {told} reads");
    }
}

/// Nobody has touched a file.
fn is_no_tampering(found: &Unavailable) -> bool {
    [Cause::SyncFailed, Cause::ReadOnly, Cause::DiskFull].contains(&found.cause)
}

/// Takes turns until deletions are taken and all is published.
fn opens_again(life: &Life, lack: Lack) {
    for _ in 0..200 {
        let found = life.closed();
        assert!(found.iter().all(is_no_tampering), "{lack:?}: {found:?}");
        life.write();
        if life.publish() && life.closed().is_none() {
            return;
        }
    }
    panic!("{lack:?}: still closed: {:?}", life.closed());
}

fn nothing_else_is_on_record(disk: &FakeDisk, settings: &Settings, lack: Lack) {
    for entry in entries(disk, settings) {
        if let Kind::Trouble(trouble) = entry.kind {
            assert_eq!(trouble.cause, "sync-failed", "{lack:?}: {trouble:?}");
        }
    }
}

/// The segment in use is in doubt: all is judged again before anything is written.
fn doubt(disk: &FakeDisk, life: &Life) {
    disk.fail_reads(0, 1, Errno::IO);
    life.look_after();
    assert_eq!(life.closed().unwrap().cause, Cause::SyncFailed);
}

/// A gateway with records in three segments, one of its deletions open.
fn gateway(settings: &Settings, told: &mut Told) -> (FakeDisk, Life) {
    let disk = new_disk();
    let mut life = Life::begin(&disk, settings, told).unwrap();
    life.leave_open(told);
    for _ in 0..2 {
        doubt(&disk, &life);
        life.write();
        assert_eq!(life.closed(), None);
    }
    life.leave_open(told);
    assert!(life.publish());
    life.look_after();
    (disk, life)
}

/// A running gateway: the steps up to the point, then those that fail.
fn running(point: impl Fn(&FakeDisk, &Life), mut act: impl FnMut(&mut Life, &mut Told)) {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let Place { settings, _folder } = place();
    for_each_read(|lack| {
        let mut told = Told::default();
        let (disk, mut life) = gateway(&settings, &mut told);
        point(&disk, &life);
        let before = disk.failures();
        lack.begin(&disk);
        act(&mut life, &mut told);
        opens_again(&life, lack);
        let after = disk.failures();
        disk.heal();
        nothing_else_is_on_record(&disk, &settings, lack);
        (before, after)
    });
}

#[test]
fn p3_a_read_that_fails_when_files_are_judged_is_no_tampering() {
    running(|_, _| (), |life, _| life.look_after());
}

#[test]
fn p3_a_read_that_fails_in_a_full_check_is_no_tampering() {
    running(doubt, |life, _| life.write());
}

#[test]
fn p3_a_read_that_fails_at_a_write_is_no_tampering() {
    running(|_, _| (), |life, told| life.leave_open(told));
}

#[test]
fn p3_a_read_that_fails_when_it_is_published_is_no_tampering() {
    let written = |disk: &FakeDisk, life: &Life| {
        doubt(disk, life);
        life.write();
    };
    running(written, |life, _| {
        life.publish();
    });
}

/// One round of the scrub through the published files.
fn judge(mut standing: PublishedLogCheck) -> Result<(), Unavailable> {
    while standing.next().map_err(|wrong| wrong.found)? < ROOT {}
    Ok(())
}

#[test]
fn p3_a_read_that_fails_in_the_scrub_is_no_tampering() {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let Place { settings, _folder } = place();
    let (disk, _life) = gateway(&settings, &mut Told::default());
    let root = Disk::folder(&disk, &settings.directory, None).unwrap();
    let key = Arc::new(Key::read(&settings.key_file).unwrap());
    for_each_read(|lack| {
        let before = disk.failures();
        lack.begin(&disk);
        let judged = judge(PublishedLogCheck::new(&root, &key));
        assert!(judged.err().iter().all(is_no_tampering), "{lack:?}");
        let after = disk.failures();
        disk.heal();
        assert_eq!(judge(PublishedLogCheck::new(&root, &key)), Ok(()));
        (before, after)
    });
}

#[test]
fn p4_a_failed_read_in_recovery_is_no_damage_and_no_roll_back() {
    let runtime = runtime();
    let _entered = runtime.enter();
    by_hand::want();
    let Place { settings, _folder } = place();
    let mut told = Told::default();
    let (left, life) = gateway(&settings, &mut told);
    drop(life);
    for_each_read(|lack| {
        let disk = left.crash(|| true);
        lack.begin(&disk);
        // It asserts of each try that failed that nothing is said to be lost.
        let life = Life::begin(&disk, &settings, &mut told).unwrap();
        assert_eq!(life.closed(), None);
        let after = disk.failures();
        disk.heal();
        // A disk that fails is not waited for there, but a lack goes by.
        assert!(life.publish());
        assert!(life.is_watched() || lack.errno == Errno::IO, "{lack:?}");
        nothing_else_is_on_record(&disk, &settings, lack);
        (0, after)
    });
}
