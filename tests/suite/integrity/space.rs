//! Free disk space: the gateway warns early and keeps a reserve for the records that it must still
//! write.

use super::super::mounts::{self, beside, seen_by};
use super::*;

const FILL: &str = "head -c 64m /dev/zero >\"$1/fill\" 2>/dev/null || true";

fn on(tmpfs: &str, keys: &[(&str, &str)]) -> Option<Scene> {
    let users = Users::start();
    let home = Home::new(users.address(), keys);
    if !mounts::can_be_used(&home) {
        return None;
    }
    let mount = format!("mount -t tmpfs -o size={tmpfs} tmpfs \"$1\"");
    let program = mounts::start(&home, &mount);
    program.wait_ready();
    Some(Scene::of(users, home, program))
}

#[test]
fn two_levels_of_free_space_warn_before_a_deletion_is_refused() {
    let keys = "free_space_warn = \"60MiB\"\nfree_space_low = \"20MiB\"";
    let Some(scene) = on("40m", &[("audit", keys)]) else {
        return;
    };
    let program = &scene.program;
    for (level, key) in [(1, "free_space_warn"), (2, "free_space_low")] {
        program.wait_for_cause(key);
        assert_eq!(program.metric("lychgate_audit_space_level"), level);
        assert!(program.metric("lychgate_audit_free_bytes") > 0);
        assert_eq!(delete(program.address, level).status, 200);
        assert!(program.takes_deletions());
        beside(program, &scene.home, "head -c 25m /dev/zero >\"$1/fill\"");
    }
    let log = program.log();
    assert!(
        log.contains("is filling up") && log.contains("nearly full"),
        "{log}"
    );
    beside(program, &scene.home, "rm \"$1/fill\"");
    until("it is no longer low", || {
        program.metric("lychgate_audit_space_level") == 1
    });
}

#[test]
fn p3_the_reserve_lets_the_outage_be_written() {
    let Some(scene) = on("10m", &[]) else { return };
    let (program, home) = (&scene.program, &scene.home);
    let reserve = seen_by(program, home).join("reserve");
    let is_made = || program.metric("lychgate_audit_reserve_bytes") == 2 << 20;
    until("the reserve is made", is_made);
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), 2 << 20);
    beside(program, home, FILL);
    // Each integrity outage ends in a new segment: the first in the spare; for the second there is
    // none.
    for ended in 1..=2 {
        beside(program, home, "mv \"$1/lock\" \"$1/held\"");
        program.wait_for_cause("unlinked");
        beside(program, home, "mv \"$1/held\" \"$1/lock\"");
        program.wait_for_cause("disk-full");
        let record = home.record_at(&seen_by(program, home));
        let ends = record.entries.iter().filter(|entry| match &entry.kind {
            Kind::Trouble(trouble) => trouble.cause == "unlinked" && trouble.state == "ended",
            _ => false,
        });
        assert_eq!(ends.count(), ended);
    }
    assert!(!reserve.exists(), "its space was given back");
    scene.refuses("disk-full");
    beside(program, home, "rm \"$1/fill\"");
    scene.comes_back();
    until("the reserve is made again", is_made);
}
