//! Backup and restore of the trail, with the commands of docs/operations.md and of the log as they stand.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lychgate::audit::entry::Kind;
use serde_json::Value;

use super::callers::{Load, delete, deletion};
use super::program::{Home, ORIGIN, Program, until};
use super::record::Record;
use super::users::Users;
use crate::support::tokens;

const PAGE: &str = include_str!("../../docs/operations.md");

/// The commands after this bold title in the section about backups.
fn commands(title: &str) -> &'static str {
    let (_, section) = PAGE.split_once("\n## Backup and restore\n").unwrap();
    let (_, part) = section.split_once(&format!("**{title}.**")).expect(title);
    let (_, code) = part.split_once("```sh\n").unwrap();
    code.split_once("```").unwrap().0
}

/// Runs the commands in the config's folder, up to the first that fails.
fn run(home: &Home, commands: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_lychgate"));
    let folder = program.parent().unwrap();
    let mut shell = Command::new("sh");
    shell.arg("-ec").arg("PATH=$1:$PATH; eval \"$2\"");
    shell.arg("sh").arg(folder).arg(commands);
    shell.current_dir(home.path("")).output().unwrap()
}

fn succeeds(home: &Home, commands: &str) {
    let output = run(home, commands);
    assert!(output.status.success(), "{commands}\n{output:?}");
}

/// The commands that the log gives for a log that was rolled back.
fn remedy(program: &Program) -> Vec<String> {
    let log = program.log();
    let mut lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["cause"] == "rolled-back").unwrap();
    let quoted = line["remedy"].as_str().unwrap().split('`');
    let commands = quoted.filter(|words| words.starts_with("lychgate "));
    commands.map(str::to_owned).collect()
}

#[test]
fn p4_a_copy_of_a_stopped_gateway_goes_on() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    assert_eq!(delete(program.address, 1).status, 200);
    assert!(program.stop().0.success());
    succeeds(&home, commands("Copy a stopped gateway's trail"));
    std::fs::remove_dir_all(home.audit()).unwrap();
    for name in ["audit.key", "audit.key.seen"] {
        std::fs::remove_file(home.path(name)).unwrap();
    }
    succeeds(&home, commands("Put it back"));

    let program = home.start_ready();
    assert_eq!(delete(program.address, 2).status, 200);
    assert!(program.stop().0.success());
    succeeds(&home, "lychgate audit verify --config lychgate.toml");
    let record = home.record();
    for user in [1, 2] {
        record.closed(user);
    }
}

#[test]
fn p4_a_copy_of_a_running_gateway_goes_on_by_accept_loss() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    program.wait_published();
    std::fs::copy(home.audit().join("verifier"), home.path("verifier.txt")).unwrap();
    let token = tokens::good_token();
    let next = Arc::new(AtomicU64::new(1));
    let load = Load::start(program.address, 2, &next, move |user| {
        deletion(user, &token)
    });
    until("a tile is full", || load.answered() > 128);
    let copy = commands("Copy a running gateway's trail");
    // If the gateway moves a file meanwhile, the page says to run the lines again.
    until("the copy verifies", || run(&home, copy).status.success());
    let copied = load.answered();
    until("more is recorded", || load.answered() > copied + 10);
    for call in load.end() {
        assert_eq!(call.answer.unwrap().status, 200);
    }
    assert!(program.stop().0.success());

    let seen = std::fs::read_to_string(home.path("audit.key.seen")).unwrap();
    succeeds(&home, commands("Put it in the place of a newer folder"));
    let program = home.start();
    program.wait_for_cause("rolled-back");
    let remedy = remedy(&program);
    assert!(program.stop().0.success());
    // The placeholders in the commands are valid words.
    symlink("lychgate.toml", home.path("FILE")).unwrap();
    for command in &remedy {
        succeeds(&home, command);
    }
    assert_eq!(remedy.len(), 2, "{remedy:?}");

    let config = std::fs::read_to_string(home.path("lychgate.toml")).unwrap();
    let config = config
        .replace(ORIGIN, "NEW")
        .replace("audit.key", "NEW.key");
    std::fs::write(home.path("lychgate.toml"), config).unwrap();
    let program = home.start_ready();
    let user = u64::MAX >> 2;
    assert_eq!(delete(program.address, user).status, 200);
    assert!(program.stop().0.success());
    let new = Record::read(&home.audit(), &home.path("NEW.key"));
    new.closed(user);
    let Kind::LossAccepted(loss) = &new.entries[0].kind else {
        panic!("it begins otherwise: {:?}", new.entries[0])
    };
    assert_eq!(loss.old_checkpoint.as_ref(), Some(&seen));
    // The copy has nothing but its own entries.
    let old = home.record_at(&home.audit().join(&loss.left_in));
    old.intent_of(1);
}
