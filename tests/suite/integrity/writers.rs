//! A second writer, even if the file lock does not work.

use std::process::Command;

use super::*;

#[test]
fn p3_a_segment_of_a_higher_number_is_a_second_writer() {
    let scene = Scene::new();
    let strange = scene.file("journal/0000000777");
    std::fs::write(&strange, b"").unwrap();
    scene.refuses("second-writer");
    scene.stays_closed("second-writer");
    std::fs::remove_file(&strange).unwrap();
    scene.comes_back();
    assert_eq!(scene.ends_with(&["second-writer"]), 2);
}

#[test]
fn p3_of_two_writers_with_the_lock_only_one_is_believed() {
    let scene = Scene::new();
    let gateway = scene.home.command();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=flock"]);
    command.args(["-e", "inject=flock:retval=0", "--"]);
    command.arg(gateway.get_program()).args(gateway.get_args());
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed (tests/run installs it)");
        return;
    }
    let second = scene.home.spawn(command);
    second.wait_ready();
    scene.refuses("second-writer");
    let answer = delete(second.address, 5);
    assert_eq!(answer.status, 200, "{}", answer.shown());
    scene.users.take_seen();
    scene.refuses("second-writer");
    // The second gateway's deletion is in the trail, so the first can never continue.
    let children = format!("/proc/{}/task/{}/children", second.pid(), second.pid());
    let child = std::fs::read_to_string(children).unwrap_or_default();
    for pid in child.split_whitespace() {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let (_, log) = second.wait();
    assert!(log.contains("serving"));
    scene.stays_closed("second-writer");
    let record = scene.home.record();
    record.closed(1_000);
    record.closed(5);
    assert_eq!(record.summary.open, 0);
}
