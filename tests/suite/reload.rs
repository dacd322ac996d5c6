//! Fifty reloads under load, some of them refused.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lychgate::audit::entry::{Kind, Verdict};
use rustix::process::Signal;

use super::callers::{Load, deletion, read, receipt_index};
use super::program::{Home, Program, config, until};
use super::users::Users;
use crate::support::tokens;

const RELOADS: u64 = 50;
/// Every fifth config is broken or cannot be activated.
const REFUSED_EVERY: u64 = 5;

fn reloads(program: &Program, result: &str) -> u64 {
    program.metric(&format!("lychgate_reloads_total{{result=\"{result}\"}}"))
}

/// The config of the `number`th reload, and whether it can be activated.
fn change(good: &str, number: u64) -> (String, bool) {
    if !number.is_multiple_of(REFUSED_EVERY) {
        // Another limit and other timeouts, so another hash, another stack and other pools.
        let head = format!("[limits]\nmax_deletions = {}\n", 500 + number);
        let wait = format!("[upstream]\nconnect_timeout = \"{}ms\"\n", 4_000 + number);
        let text = good
            .replace("[limits]\n", &head)
            .replace("[upstream]\n", &wait);
        return (text, true);
    }
    let broken = match number / REFUSED_EVERY % 4 {
        0 => good.replace("[limits]\n", "[limits]\nmax_deletion = 1\n"),
        1 => good.replace("origin = \"lych", "origin = \"l,ych"),
        2 => "[listen\n".to_owned(),
        _ => good.replace("keys.json", "no-such-keys.json"),
    };
    (broken, false)
}

#[test]
fn p12_p14_reloads_under_load_fail_no_request() {
    let users = Users::start();
    let home = Home::new(users.address(), &[]);
    let good = config(users.address(), &[]);
    let program = home.start_ready();
    let next = Arc::new(AtomicU64::new(1));
    let token = tokens::good_token();
    // The load reads even users and deletes odd ones.
    let load = Load::start(program.address, 8, &next, move |user| {
        if user % 2 == 0 {
            read(user, &token)
        } else {
            deletion(user, &token)
        }
    });
    let mut refused = 0;
    for number in 1..=RELOADS {
        let (text, takes) = change(&good, number);
        std::fs::write(home.path("lychgate.toml"), text).unwrap();
        refused += u64::from(!takes);
        let before = load.answered();
        program.signal(Signal::HUP);
        until(&format!("reload {number} is done"), || {
            let done = (reloads(&program, "in-force"), reloads(&program, "refused"));
            done == (number - refused, refused)
        });
        let verbose = program.page("/readyz?verbose");
        assert_eq!(verbose.status, 200);
        until("requests flow", || load.answered() > before + 4);
    }
    assert_eq!(refused, RELOADS / REFUSED_EVERY);
    let calls = load.end();
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    assert!(log.contains("reload refused"), "{log}");

    let record = home.record();
    let mut deleted = 0;
    for call in &calls {
        let answer = call.answer.as_ref().expect("no connection breaks off");
        assert_eq!(answer.status, 200, "user {}: {}", call.user, answer.shown());
        if call.user % 2 != 0 {
            let (closed, verdict) = record.closed(call.user);
            let index = receipt_index(answer);
            assert_eq!((verdict, Some(closed.index)), (Verdict::Deleted, index));
            deleted += 1;
        }
    }
    eprintln!("{} requests, {deleted} of them deletions", calls.len());
    assert_eq!(record.deletions.len(), deleted);
    assert_eq!(users.seen_count(), calls.len(), "each was sent once");
    configs_stand_before_their_intents(&record.entries);
}

/// Asserts that each intent names the hash of a config that is recorded before it.
fn configs_stand_before_their_intents(entries: &[lychgate::audit::entry::Entry]) {
    let mut known = std::collections::HashSet::new();
    for entry in entries {
        match &entry.kind {
            Kind::Config(config) => {
                known.insert(&config.config);
            }
            Kind::Intent(intent) => assert!(known.contains(&intent.config), "{entry:?}"),
            _ => {}
        }
    }
    let expected = RELOADS - RELOADS / REFUSED_EVERY + 1;
    assert_eq!(known.len() as u64, expected);
}
