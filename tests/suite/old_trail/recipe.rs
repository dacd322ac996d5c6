//! Makes the archive. Every test run follows the recipe in a new folder; with
//! `LYCHGATE_MAKE_TRAIL=DIR` it also packs the archive there.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rustix::process::Signal;

use super::super::callers::{Load, delete, deletion, refusal, request, token_of};
use super::super::program::{Home, Program, until};
use super::super::users::{Manner, Users};
use super::logs::{FIRST, Log, SECOND, audit, home_of, left_in, said};
use super::{ARCHIVE, kinds, no_new_shapes, shapes};
use crate::support::{tokens, trail, wire};

/// Every kind of entry that the program writes.
pub(super) const KINDS: [&str; 11] = [
    "alive",
    "config",
    "intent",
    "loss_accepted",
    "outcome",
    "reconciled",
    "refused",
    "started",
    "stopped",
    "trouble",
    "turned_away",
];
/// Enough entries for a full tile.
const MANY: usize = 120;
/// So many users of 19 digits that one intent cannot hold them.
const SPLIT: u64 = 2_300;
const HEARTBEAT: &str = "heartbeat = \"1s\"\n";

fn answers(status: &str) -> Manner {
    let head = format!("HTTP/1.1 {status}\r\nac-revision: 9\r\ncontent-length: 0\r\n\r\n");
    // Each test run leaks at most four heads.
    Manner::Raw(head.leak().as_bytes())
}

fn batch(program: &Program, ids: &[u64]) -> wire::Answer {
    let body = serde_json::to_string(ids).unwrap();
    let head = format!("If-Match: 7\r\nContent-Length: {}\r\n", body.len());
    let mut bytes = request("DELETE", "", &tokens::good_token(), &head);
    bytes.extend(body.as_bytes());
    wire::exchange(program.address, &bytes).unwrap()
}

/// Stores the receipt of the answer and the first checkpoint that covers it.
fn keep(home: &Home, log: &Log, answer: &wire::Answer) {
    let names = ["", "-leaf", "-signature"];
    let headers = names.map(|name| answer.header(&format!("lychgate-receipt{name}")).unwrap());
    std::fs::write(home.path(log.receipt), headers.join("\n") + "\n").unwrap();
    wait_covered(home, answer);
    std::fs::copy(home.audit().join("checkpoint"), home.path(log.kept)).unwrap();
}

fn wait_covered(home: &Home, answer: &wire::Answer) {
    let receipt = answer.header("lychgate-receipt").unwrap();
    until("a checkpoint covers it", || {
        audit(&home.audit(), &["prove", receipt]).status.success()
    });
}

fn stop(program: Program) {
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
}

fn edit_config(home: &Home, from: &str, to: &str) {
    let path = home.path("lychgate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// The first log: two deletions. It is then abandoned, although it is intact, because the config
/// names another.
fn first_log(home: &Home) {
    let program = home.start_ready();
    keep(home, &FIRST, &delete(program.address, 1));
    assert_eq!(delete(program.address, 2).status, 200);
    stop(program);
    SECOND.write_key(home);
    SECOND.name_in_config(home);
    let mut accept = trail::lychgate();
    accept.args(["audit", "accept-loss", "--origin", SECOND.origin]);
    accept.args(["--reason", "it goes on under another name", "--config"]);
    let done = said(&accept.arg(home.path("lychgate.toml")).output().unwrap());
    assert!(done.contains("has started"), "{done}");
}

/// The different ways in which a deletion ends or is refused.
fn endings(users: &Users, home: &Home) {
    let program = home.start_ready();
    keep(home, &SECOND, &delete(program.address, 10));
    for (user, status) in [(11, "404 Not Found"), (12, "409 Conflict"), (13, "500 Oh")] {
        users.behave(answers(status));
        assert_eq!(
            delete(program.address, user).status.to_string(),
            status[..3]
        );
    }
    users.behave(Manner::Reset);
    assert_eq!(delete(program.address, 14).status, 502);
    users.behave(answers("404 Not Found"));
    let mut reconcile = trail::lychgate();
    reconcile.args([
        "audit",
        "reconcile",
        "--now",
        "--reason",
        "asked",
        "--config",
    ]);
    said(&reconcile.arg(home.path("lychgate.toml")).output().unwrap());
    users.behave(Manner::Answer(Duration::ZERO));
    assert_eq!(batch(&program, &[15, 16, 17]).status, 200);
    // A subject that is too long for the entry, which shortens it.
    let token = token_of(&"s".repeat(300));
    let answer = wire::exchange(program.address, &deletion(18, &token)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.shown());
    let token = tokens::good_token();
    let refused = [
        (request("DELETE", "/19", &token, ""), "if-match-missing"),
        (deletion(20, "no-token"), "token-malformed"),
    ];
    for (bytes, code) in refused {
        let answer = wire::exchange(program.address, &bytes).unwrap();
        assert_eq!(refusal(&answer).0, code);
    }
    trouble(home, &program);
    edit_config(home, "[limits]\n", "[limits]\nmax_deletions = 500\n");
    program.signal(Signal::HUP);
    until("the config is in force", || {
        program.metric("lychgate_reloads_total{result=\"in-force\"}") == 1
    });
    assert_eq!(delete(program.address, 21).status, 200);
    stop(program);
}

/// A file of the trail is missing for a while.
fn trouble(home: &Home, program: &Program) {
    let (verifier, held) = (home.audit().join("verifier"), home.path("held"));
    std::fs::rename(&verifier, &held).unwrap();
    program.wait_for_cause("unlinked");
    assert_eq!(refusal(&delete(program.address, 22)).2, "unlinked");
    std::fs::rename(&held, &verifier).unwrap();
    program.wait_ready();
}

/// A full tile, heartbeats, and a kill during a deletion.
fn many(users: &Users, home: &Home) {
    edit_config(home, "[audit]\n", &format!("[audit]\n{HEARTBEAT}"));
    let program = home.start_ready();
    until("it is idle, and says so", || {
        kinds(&shapes(&home.audit())).contains("alive")
    });
    let (next, token) = (Arc::new(AtomicU64::new(100)), tokens::good_token());
    let load = Load::start(program.address, 4, &next, move |user| {
        deletion(user, &token)
    });
    until("there are many", || load.answered() >= MANY);
    load.end();
    killed(users, program, &[30]);
    edit_config(home, HEARTBEAT, "");
}

/// Kills the gateway while these deletions wait for upstream's answer.
fn killed(users: &Users, program: Program, ids: &[u64]) {
    users.behave(Manner::Hang);
    users.take_seen();
    let address = program.address;
    let callers: Vec<_> = ids
        .iter()
        .map(|&user| {
            let bytes = deletion(user, &tokens::good_token());
            std::thread::spawn(move || wire::exchange(address, &bytes))
        })
        .collect();
    until("they were sent", || users.seen_count() == ids.len());
    program.kill_nine();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), None, "nobody was answered");
    }
    users.behave(Manner::Answer(Duration::ZERO));
}

/// A batch deletion of two intents, then another kill; nothing closes the open intents.
fn last(users: &Users, home: &Home) {
    let program = home.start_ready();
    let first = 1_000_000_000_000_000_000;
    let ids: Vec<u64> = (first..first + SPLIT).collect();
    let answer = batch(&program, &ids);
    assert_eq!(answer.status, 200, "{}", answer.shown());
    wait_covered(home, &answer);
    killed(users, program, &[31, 32]);
}

#[test]
fn the_recipe_of_the_old_trail_still_makes_one() {
    let users = Users::start();
    let token = "reconcile_token_file = \"reconcile.token\"";
    let home = home_of(&FIRST, &users, &[("audit", token)]);
    std::fs::write(home.path("reconcile.token"), "reads-back").unwrap();
    first_log(&home);
    endings(&users, &home);
    many(&users, &home);
    last(&users, &home);
    let lost = left_in(&home.audit());
    let made = shapes(&home.audit());
    assert_eq!(kinds(&made), KINDS.into());
    if let Some(directory) = std::env::var_os("LYCHGATE_MAKE_TRAIL") {
        for (log, directory) in [(FIRST, &lost), (SECOND, &home.audit())] {
            let list = said(&audit(directory, &["list", "--json"]));
            std::fs::write(home.path(log.list), list).unwrap();
        }
        pack(&home, Path::new(&directory));
    } else {
        no_new_shapes(&made, &users);
    }
}

/// Packs the files except secrets and configs, and except the reserve, which has no record and
/// cannot be compressed.
fn pack(home: &Home, directory: &Path) {
    let own = |log: Log| [log.seen, log.kept, log.receipt, log.list];
    let packed = Command::new("tar")
        .args(["--exclude=control.sock", "--exclude=reserve"])
        .args(["--use-compress-program=gzip -9", "-cf"])
        .arg(directory.join(ARCHIVE))
        .arg("-C")
        .arg(home.path(""))
        .arg("audit")
        .args(own(FIRST))
        .args(own(SECOND))
        .status();
    assert!(packed.unwrap().success());
}
