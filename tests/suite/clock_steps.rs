//! The system's clock jumps a day forward and back while deletions continue.

use lychgate::audit::entry::Kind;

use super::callers::deletion;
use super::program::{Home, until};
use super::users::Users;
use crate::support::{tokens, wire};

#[test]
fn p4_the_trail_records_clock_steps_of_a_day_and_verifies() {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    if !std::path::Path::new(library).exists() {
        eprintln!("skipped: libfaketime is not installed");
        return;
    }
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let steps = home.path("faketime");
    std::fs::write(&steps, "+0").unwrap();
    let mut command = home.command();
    command.env("LD_PRELOAD", library);
    command.env("FAKETIME_TIMESTAMP_FILE", &steps);
    command.env("FAKETIME_NO_CACHE", "1");
    command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let program = home.spawn(command);
    program.wait_ready();
    // A token that is valid at all of these times.
    let mut claims = tokens::good_claims();
    let now = tokens::now();
    claims.insert("iat".into(), (now - 200_000).into());
    claims.insert("exp".into(), (now + 200_000).into());
    let signer = tokens::Signer::Main;
    let token = tokens::sign(signer, &tokens::good_header(signer), &claims);
    for (user, step) in (1..).zip(["+0", "+1d", "+0", "-1d", "+0"]) {
        std::fs::write(&steps, step).unwrap();
        let answer = wire::exchange(program.address, &deletion(user, &token));
        assert_eq!(answer.map(|answer| answer.status), Some(200), "{step}");
    }
    let lines = |log: &str| log.matches("the clock was set").count();
    let before = lines(&program.log());
    assert!(before > 0, "{}", program.log());
    std::fs::write(&steps, "-2d").unwrap();
    until("a trail without deletions notes a step", || {
        lines(&program.log()) > before
    });
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    let record = home.record();
    assert_eq!((record.deletions.len(), record.summary.open), (5, 0));
    let noted = record.entries.iter().filter_map(|entry| match &entry.kind {
        Kind::Trouble(trouble) if trouble.cause == "clock" => Some(trouble.detail.clone()),
        _ => None,
    });
    let noted: Vec<String> = noted.collect();
    for way in ["forward", "back"] {
        assert!(noted.iter().any(|what| what.contains(way)), "{noted:?}");
    }
}
