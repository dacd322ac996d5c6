//! An opening fails. The next one records the configs and refusals that came meanwhile.

use std::io::ErrorKind;
use std::time::Duration;

use super::*;
use crate::audit::entry::ConfigInForce;
use crate::audit::entry::compose::test_intent;

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_config_and_a_count_outlive_an_opening_that_failed() {
    let disk = FakeDisk::default();
    // The first try ends at once; the second in the write of its first batch, behind `verifier`,
    // `lock` and the three parts of a segment.
    disk.fail("folder", 0, 1, ErrorKind::Other);
    disk.fail("write", 5, 1, ErrorKind::Other);
    let rig = Rig::on(&disk, Duration::from_secs(20));
    rig.trail.config(ConfigInForce {
        config: "hash".into(),
        contracts: [].into(),
    });
    rig.trail.opened().await;
    rig.trail.refused(faults::refusal());
    opens(&rig.trail).await;
    let open = rig.trail.begin(test_intent(1)).await.unwrap();
    open.close(deleted()).await.unwrap();
    let seen = rig.entries();
    let place = |name: &str| kinds(&seen).iter().position(|k| k == name);
    assert!(place("config") < place("intent"), "{:?}", kinds(&seen));
    assert!(place("config").is_some());
    let counts = seen.iter().filter_map(|e| match &e.kind {
        Kind::Trouble(t) => Some(t.refused),
        _ => None,
    });
    assert_eq!(counts.sum::<u64>(), 1);
}

#[test]
fn tries_that_may_write_come_ever_more_seldom() {
    use crate::audit::writer::outage::next_pause;

    let after_ten =
        |cause| (0..10).fold(Duration::from_secs(1), |pause, _| next_pause(cause, pause));
    assert_eq!(after_ten(Cause::Locked), Duration::from_secs(1));
    assert_eq!(after_ten(Cause::ReadOnly), Duration::from_secs(15));
    assert_eq!(after_ten(Cause::SyncFailed), Duration::from_secs(60));
}
