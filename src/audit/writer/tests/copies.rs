//! A copy replaces the folder, and a step of its opening fails.

use std::io::ErrorKind;

use super::*;
use crate::audit::disk::{Access, Folder};
use crate::audit::entry::compose::test_intent;

const PATIENT: Duration = Duration::from_secs(600);

async fn delete(rig: &Rig) {
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
}

/// Waits until the cause is `folder-moved` with this detail.
async fn differs(rig: &Rig, what: &str) {
    let told = || rig.trail.state().closed;
    wait(|| told().is_some_and(|c| c.cause == Cause::FolderMoved && c.detail.contains(what))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_copy_whose_sync_failed_is_never_opened_but_another_is() {
    let rig = Rig::open(PATIENT).await;
    delete(&rig).await;
    rig.disk.fail("sync_disk", 0, 1, ErrorKind::Other);
    rig.disk.put_copy("/audit");
    differs(&rig, "an earlier sync of this copy failed").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    differs(&rig, "an earlier sync of this copy failed").await;
    assert_eq!(rig.disk.count("sync_disk"), 1);
    rig.disk.put_copy_in_its_inodes("/audit");
    opens(&rig.trail).await;
    delete(&rig).await;
    // The copy holds the entries from before it, and the later ones.
    let seen = rig.entries();
    assert_eq!(endings(&seen).len(), 2);
    assert_eq!(entries(&rig.disk.crash(|| false), &rig.settings), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_no_log_is_opened_again_that_the_seen_file_disagrees_with() {
    let rig = Rig::open(PATIENT).await;
    delete(&rig).await;
    published(&rig).await;
    let kept = Disk::folder(&rig.disk, "/kept".as_ref(), None).unwrap();
    // The publisher writes the seen file after the checkpoint, so it must be done before the test alters the file.
    let root = Disk::folder(&rig.disk, "/audit".as_ref(), None).unwrap();
    let content = |folder: &dyn Folder, name| read_log_file(folder, name).unwrap();
    wait(|| content(&*kept, "audit.key.seen") == content(&*root, "checkpoint")).await;
    let seen = kept.open("audit.key.seen", Access::Write).unwrap();
    let mut byte = [0];
    seen.read_at(&mut byte, 3).unwrap();
    seen.write_at(b"?", 3).unwrap();
    let held = rig.disk.put_copy("/audit");
    differs(&rig, "the seen file /kept/audit.key.seen").await;
    rig.disk.put("/audit", held);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    differs(&rig, "the seen file /kept/audit.key.seen").await;
    seen.write_at(&byte, 3).unwrap();
    opens(&rig.trail).await;
    delete(&rig).await;
    published(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_copy_without_the_newest_checkpoint_is_published_further() {
    let rig = Rig::open(PATIENT).await;
    rig.disk.hang(Some("move"));
    delete(&rig).await;
    rig.disk.put_copy("/audit");
    closes(&rig.trail, Cause::FolderMoved).await;
    rig.disk.hang(None);
    opens(&rig.trail).await;
    published(&rig).await;
    delete(&rig).await;
    published(&rig).await;
    assert_eq!(endings(&rig.entries()).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_kept_outcomes_are_written_first_in_the_opened_log() {
    let rig = Rig::open(PATIENT).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    let index = open.index();
    // The copy is not opened.
    rig.disk.fail("sync_disk", 0, usize::MAX, ErrorKind::Other);
    let held = rig.disk.put_copy("/audit");
    closes(&rig.trail, Cause::FolderMoved).await;
    let unconfirmed = open.close(deleted()).await.unwrap_err();
    assert_eq!(unconfirmed.cause, Cause::FolderMoved);
    let before = rig.entries().len();
    rig.disk.put("/audit", held);
    opens(&rig.trail).await;
    delete(&rig).await;
    let seen = rig.entries();
    assert_eq!(endings(&seen)[&index].outcome, Verdict::Deleted);
    let behind = kinds(&seen[before..]);
    let place = |name: &str| behind.iter().position(|kind| kind == name);
    assert!(place("outcome") < place("intent"), "{behind:?}");
}
