//! Killed, then records past the checkpoint forged without the key, or answered ones damaged, then
//! started: deletions stay closed, the place is named, and nothing is cut or signed.

use std::sync::Arc;

use super::*;
use crate::audit::disk::{Access, read_exact};
use crate::audit::entry::compose::test_intent;
use crate::audit::journal::batch::{Batch, Link, encode};
use crate::audit::journal::chain::Chain;
use crate::audit::journal::{Place as At, segment};

type Entries = Vec<Vec<u8>>;

/// A log in one segment, with its batches. Its checkpoint covers only the first entry.
pub(super) struct Killed {
    pub(super) disk: FakeDisk,
    pub(super) place: Place,
    pub(super) batches: Vec<Batch>,
}

pub(super) fn killed(deletions: &[(usize, usize)]) -> Killed {
    let (disk, place, mut told) = (new_disk(), place(), Told::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = runtime();
            let _entered = runtime.enter();
            by_hand::want();
            let mut life = Life::begin(&disk, &place.settings, &mut told).unwrap();
            for (count, users) in deletions {
                life.delete(&mut told, *count, *users);
            }
        });
    });
    let key = Key::read(&place.settings.key_file).unwrap();
    let mut chain = Chain::new(journal(&disk), Some(&key), None).unwrap();
    let mut batches = Vec::new();
    while let Some(batch) = chain.next_batch().unwrap() {
        assert_eq!(batch.link.place.segment, 1);
        batches.push(batch);
    }
    Killed {
        disk,
        place,
        batches,
    }
}

fn journal(disk: &FakeDisk) -> Arc<dyn Folder> {
    let root = Disk::folder(disk, "/audit".as_ref(), None).unwrap();
    root.folder(JOURNAL, None).unwrap()
}

/// The bytes of the one segment with records.
pub(super) fn bytes(disk: &FakeDisk) -> Vec<u8> {
    let file = journal(disk).open(&segment::name(1), Access::Read).unwrap();
    let mut bytes = vec![0; file.identity().unwrap().bytes as usize];
    read_exact(&*file, &mut bytes, 0).unwrap();
    bytes
}

/// The same disk with other bytes there.
pub(super) fn with(disk: &FakeDisk, bytes: &[u8]) -> FakeDisk {
    let disk = disk.crash(|| true);
    let file = journal(&disk)
        .open(&segment::name(1), Access::Write)
        .unwrap();
    file.write_at(bytes, 0).unwrap();
    disk.crash(|| true)
}

/// These entries in batches behind `before`, with right digests and chain, without the key.
fn forge(disk: &FakeDisk, before: &Link, batches: &[Entries]) -> FakeDisk {
    let stranger = Key::generate("lychgate.test/edge-1").unwrap();
    let (mut all, mut link) = (bytes(disk), *before);
    let mut at = before.place.offset as usize + 4_096;
    all[at..].fill(0);
    for entries in batches {
        let place = At {
            segment: 1,
            offset: at as u64,
        };
        let (batch, next) = encode(entries, &link, place, &stranger).unwrap();
        all[at..at + batch.len()].copy_from_slice(&batch);
        (at, link) = (at + batch.len(), next);
    }
    with(disk, &all)
}

/// The trail refuses deletions as `damaged`, names the place, and changes neither journal nor checkpoints.
async fn refused(killed: &Killed, disk: &FakeDisk, at: u64, case: &str) {
    let (before, shown) = (bytes(disk), disk.shown());
    let trail = trail(disk, &killed.place.settings);
    trail.opened().await;
    let closed = trail.begin(test_intent(1)).await.unwrap_err();
    assert_eq!(closed.cause, Cause::Damaged, "{case}: {closed:?}");
    let place = format!("journal segment 0000000001, offset {at}:");
    assert!(closed.detail.contains(&place), "{case}: {closed:?}");
    trail.stop().await;
    assert!(bytes(disk) == before, "{case}: something was cut");
    assert_eq!(disk.shown(), shown, "{case}: something was signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_records_forged_past_the_checkpoint_are_never_signed() {
    let killed = killed(&[(3, 1), (2, 1), (1, 1)]);
    let genuine: Vec<Entries> = killed.batches.iter().map(|b| b.entries.clone()).collect();
    let before = killed.batches[0].link;
    assert_eq!((genuine.len(), before.next_index), (7, 1));
    let forgery = |act: &dyn Fn(&mut Vec<Entries>)| {
        let mut forged = genuine[1..].to_vec();
        act(&mut forged);
        forged
    };
    let rewrite = |entry: &[u8]| {
        let text = String::from_utf8(entry.to_vec()).unwrap();
        text.replace("robot", "other").into_bytes()
    };
    let forgeries = [
        ("as they were", forgery(&|_| {})),
        ("rewritten", forgery(&|b| b[0][1] = rewrite(&b[0][1]))),
        ("swapped in a batch", forgery(&|b| b[0].swap(0, 2))),
        ("swapped batches", forgery(&|b| b.swap(0, 2))),
        (
            "taken out inside a batch",
            forgery(&|b| drop(b[2].remove(0))),
        ),
        (
            "taken out between batches",
            forgery(&|b| drop(b.drain(2..4))),
        ),
        ("added", forgery(&|b| b.push(genuine[5].clone()))),
    ];
    for (case, forged) in forgeries {
        let disk = forge(&killed.disk, &before, &forged);
        let at = before.place.offset + 4_096;
        refused(&killed, &disk, at, case).await;
    }
    // Only the entries after the first batches.
    let disk = forge(&killed.disk, &killed.batches[4].link, &[genuine[6].clone()]);
    let at = killed.batches[5].link.place.offset;
    refused(&killed, &disk, at, "the last alone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_flipped_byte_amid_answered_records_is_named_and_not_cut() {
    let killed = killed(&[(3, 1), (1, 300), (2, 1)]);
    let all = bytes(&killed.disk);
    let (_, answered) = killed.batches.split_last().unwrap();
    for batch in answered {
        let at = batch.link.place.offset;
        for byte in [0, 37, 100, batch.length / 2, batch.length - 1] {
            let mut bad = all.clone();
            bad[at as usize + byte] ^= 0x20;
            let disk = with(&killed.disk, &bad);
            let case = format!("byte {byte} of the batch at {at}");
            refused(&killed, &disk, at, &case).await;
        }
    }
}
