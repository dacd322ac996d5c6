//! A copy stands in the folder's place, and what is needed to go on in it fails.

use std::io::ErrorKind;

use super::*;
use crate::audit::disk::Access;
use crate::audit::entry::compose::test_intent;

const PATIENT: Duration = Duration::from_secs(600);

async fn delete(rig: &Rig) {
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
}

/// Waits until it is closed for the folder, and this is told of the copy.
async fn differs(rig: &Rig, what: &str) {
    let told = || rig.trail.state().closed;
    wait(|| told().is_some_and(|c| c.cause == Cause::FolderMoved && c.detail.contains(what))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_a_copy_whose_sync_failed_is_never_gone_on_in_but_another_is() {
    let rig = Rig::open(PATIENT).await;
    delete(&rig).await;
    rig.disk.fail("sync_disk", 0, 1, ErrorKind::Other);
    rig.disk.put_copy("/audit");
    differs(&rig, "a sync failed in it").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    differs(&rig, "a sync failed in it").await;
    assert_eq!(rig.disk.count("sync_disk"), 1);
    rig.disk.put_copy_in_its_inodes("/audit");
    opens(&rig.trail).await;
    delete(&rig).await;
    // What was durable before is so in the copy, and so is what came behind.
    let seen = rig.entries();
    assert_eq!(endings(&seen).len(), 2);
    assert_eq!(entries(&rig.disk.crash(|| false), &rig.settings), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn p4_where_the_seen_file_does_not_agree_no_copy_is_gone_on_in_and_the_held_one_is() {
    let rig = Rig::open(PATIENT).await;
    delete(&rig).await;
    published(&rig).await;
    let kept = Disk::folder(&rig.disk, "/kept".as_ref(), None).unwrap();
    let seen = kept.open("audit.key.seen", Access::Write).unwrap();
    let mut byte = [0];
    seen.read_at(&mut byte, 3).unwrap();
    seen.write_at(b"?", 3).unwrap();
    let held = rig.disk.put_copy("/audit");
    differs(&rig, "the seen file /kept/audit.key.seen").await;
    // The publisher that was halted for it goes on, too.
    rig.disk.put("/audit", held);
    opens(&rig.trail).await;
    seen.write_at(&byte, 3).unwrap();
    delete(&rig).await;
    published(&rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_copy_made_before_the_newest_checkpoint_is_published_further() {
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
