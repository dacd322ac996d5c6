//! The publisher in trouble: deletions are refused with its cause, and taken again when it works.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::*;
use crate::audit::disk::Access;
use crate::audit::entry::compose::test_intent;

const PATIENT: Duration = Duration::from_secs(600);

async fn delete(trail: &Trail) -> Result<(), Cause> {
    let open = trail.begin(test_intent(1)).await.map_err(|c| c.cause)?;
    open.close(deleted()).await.map(drop).map_err(|u| u.cause)
}

/// Deletions go on for 10 s, are then refused for this cause, and go on once it is mended.
async fn refused_after_ten_seconds(rig: &Rig, cause: Cause, mend: impl FnOnce()) {
    let begun = Instant::now();
    while let Ok(()) = delete(&rig.trail).await {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(10));
    assert_eq!(delete(&rig.trail).await, Err(cause));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    mend();
    opens(&rig.trail).await;
    delete(&rig.trail).await.unwrap();
    rig.trail.stop().await;
    let troubles = rig.entries().into_iter().filter_map(|e| match e.kind {
        Kind::Trouble(t) if t.cause == cause.as_str() => Some(t.state),
        _ => None,
    });
    assert_eq!(troubles.collect::<Vec<_>>(), ["began", "ended"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_hanging_publisher_refuses_deletions_after_ten_seconds() {
    let rig = Rig::open(PATIENT).await;
    rig.disk.hang(Some("move"));
    refused_after_ten_seconds(&rig, Cause::SyncLate, || rig.disk.hang(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_failing_publisher_refuses_deletions_with_its_cause() {
    let rig = Rig::open(PATIENT).await;
    rig.disk
        .fail("move", 0, usize::MAX, ErrorKind::ReadOnlyFilesystem);
    refused_after_ten_seconds(&rig, Cause::ReadOnly, || rig.disk.heal()).await;
}

/// The bytes of a file in the trail's folder, and another one's in its place.
fn swap(rig: &Rig, bytes: Option<&[u8]>) -> Vec<u8> {
    let root = Disk::folder(&rig.disk, &rig.settings.directory, None).unwrap();
    let file = root.open("checkpoint", Access::Write).unwrap();
    let mut before = vec![0; file.identity().unwrap().bytes as usize];
    file.read_at(&mut before, 0).unwrap();
    root.remove("checkpoint").unwrap();
    if let Some(bytes) = bytes {
        let file = root.open("checkpoint", Access::Create(0o640)).unwrap();
        file.write_at(bytes, 0).unwrap();
    }
    before
}

#[tokio::test(flavor = "multi_thread")]
async fn p3_a_foreign_checkpoint_refuses_deletions_until_ours_is_back() {
    let rig = Rig::open(PATIENT).await;
    let key = Key::read(&rig.settings.key_file).unwrap();
    let other = Checkpoint {
        origin: key.origin().into(),
        size: 9,
        root: [7; 32],
    };
    let cases = [
        (Some(other.sign(&key)), Cause::SecondWriter),
        (Some(b"no checkpoint".to_vec()), Cause::Altered),
        (None, Cause::Unlinked),
    ];
    for (found, cause) in cases {
        delete(&rig.trail).await.unwrap();
        published(&rig).await;
        let ours = swap(&rig, found.as_deref());
        delete(&rig.trail).await.unwrap();
        closes(&rig.trail, cause).await;
        assert_eq!(delete(&rig.trail).await, Err(cause));
        if found.is_some() {
            swap(&rig, Some(&ours));
        } else {
            let root = Disk::folder(&rig.disk, &rig.settings.directory, None).unwrap();
            let file = root.open("checkpoint", Access::Create(0o640)).unwrap();
            file.write_at(&ours, 0).unwrap();
        }
        opens(&rig.trail).await;
    }
}
