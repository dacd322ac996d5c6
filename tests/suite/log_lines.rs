//! The log says once what went wrong, with the place and the remedy, and once that it ended.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::callers::get;
use super::program::{Home, Program, until};
use super::users::{Manner, Users};
use crate::support::{tokens, trail};

/// The log lines with one of these messages.
fn lines(program: &Program, messages: &[&str]) -> Vec<Value> {
    let log = program.log();
    let parsed = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let wanted = |line: &Value| messages.iter().any(|message| line["message"] == *message);
    parsed.filter(wanted).collect()
}

fn verbose(program: &Program) -> String {
    program.page("/readyz?verbose").shown()
}

#[test]
fn p11_a_failing_upstream_is_logged_once_and_its_end_too() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let (fails, answers) = ("requests to upstream fail", "upstream answers again");
    users.behave(Manner::Reset);
    for user in 1..=50 {
        assert_eq!(get(program.address, user).status, 502);
    }
    let origin = format!("http://{}", users.address());
    let page = verbose(&program);
    assert!(
        page.contains(&format!("upstream {origin}: since ")),
        "{page}"
    );
    users.behave(Manner::Answer(Duration::ZERO));
    assert_eq!(get(program.address, 1).status, 200);
    until("both lines are there", || {
        lines(&program, &[answers]).len() == 1
    });
    let found = lines(&program, &[fails, answers]);
    let messages: Vec<_> = found.iter().map(|line| line["message"].as_str()).collect();
    assert_eq!(messages, [Some(fails), Some(answers)]);
    assert_eq!(
        (&found[0]["origin"], &found[0]["level"]),
        (&origin.into(), &"error".into())
    );
    assert!(
        found[0]["remedy"]
            .as_str()
            .is_some_and(|text| text.contains("operations.md"))
    );
    assert_eq!(found[1]["failed"], 49);
    assert!(!verbose(&program).contains("upstream http"));
}

#[test]
fn p10_a_bad_key_file_is_logged_once_and_its_end_too() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let keys = home.path("keys.json");
    std::fs::write(&keys, "{").unwrap();
    let (begins, ends) = (
        "no new key set: the keys read before stay in force",
        "the key set can be read again",
    );
    until("the fault is logged", || {
        !lines(&program, &[begins]).is_empty()
    });
    let found = lines(&program, &[begins]);
    let remedy = found[0]["remedy"].as_str().unwrap_or_default();
    assert!(
        remedy.starts_with("mend /") && remedy.contains("keys.json"),
        "{remedy}"
    );
    assert!(verbose(&program).contains(remedy));
    assert_eq!(get(program.address, 1).status, 200);
    std::fs::write(&keys, tokens::key_set()).unwrap();
    until("the end is logged", || !lines(&program, &[ends]).is_empty());
    assert_eq!(lines(&program, &[begins]).len(), 1);
}

#[test]
fn p12_a_refused_reload_is_logged_with_file_and_remedy() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let config = home.path("lychgate.toml");
    let good = std::fs::read_to_string(&config).unwrap();
    let refused = "reload refused: the config before it stays in force";
    let changes = [
        (
            "[limits]",
            "[limits]\nmax = 1",
            "config-invalid",
            "lychgate.toml:8:1: ",
        ),
        (
            "\"60s\"",
            "\"59s\"",
            "needs-restart",
            "`audit.sync_timeout`",
        ),
        ("keys.json", "gone.json", "config-invalid", "gone.json"),
    ];
    for (number, (from, to, cause, reason)) in (1..).zip(changes) {
        std::fs::write(&config, good.replace(from, to)).unwrap();
        program.signal(Signal::HUP);
        until("it is logged", || {
            lines(&program, &[refused]).len() == number
        });
        let line = lines(&program, &[refused]).pop().unwrap();
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        assert_eq!((&*text("level"), &*text("cause")), ("warn", cause));
        assert_eq!(text("file"), config.display().to_string());
        assert!(text("reason").contains(reason), "{line:#}");
        assert!(text("remedy").contains("operations.md"), "{line:#}");
        assert!(verbose(&program).contains(&text("remedy")), "{line:#}");
    }
}

#[test]
fn relative_paths_are_absolute_in_the_log() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let mut command = trail::lychgate();
    command.args(["run", "--config", "lychgate.toml"]);
    command.current_dir(home.path(""));
    let program = home.spawn(command);
    program.wait_ready();
    for (message, field, path) in [
        ("serving", "config", home.path("lychgate.toml")),
        ("deletions are accepted", "directory", home.audit()),
    ] {
        let line = lines(&program, &[message]).pop().unwrap();
        assert_eq!(line[field], path.display().to_string(), "{line:#}");
    }
}

#[test]
fn p14_a_clean_stop_is_no_trouble() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let program = home.start_ready();
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    assert!(!log.contains("\"error\""), "{log}");
}
