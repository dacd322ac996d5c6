//! Repeated kills of the gateway under load, each followed by a start on the same folder.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use lychgate::audit::entry::Verdict;

use super::callers::{Call, Dice, Load, deletion, receipt_index};
use super::program::{Home, full, until};
use super::record::Record;
use super::users::{Manner, Users};
use crate::support::tokens;

/// The number of connections that delete at once.
const CONNECTIONS: usize = 16;
/// The test takes a new folder after this many kills, because each start reads the whole trail.
const KILLS_A_FOLDER: usize = 10;
/// The maximum time between the first deletions and a kill.
const WINDOW_MILLISECONDS: u64 = 150;

fn kills() -> usize {
    let told = std::env::var_os("LYCHGATE_KILLS").and_then(|text| text.to_str()?.parse().ok());
    told.unwrap_or(if full() { 300 } else { 5 })
}

/// The known facts about all deletions in one folder.
#[derive(Debug, Default)]
struct Known {
    seen: Vec<u64>,
    answered: Vec<(u64, u64)>,
}

impl Known {
    fn add(&mut self, users: &Users, calls: Vec<Call>) {
        let seen = users.take_seen();
        self.seen
            .extend(seen.iter().filter_map(super::users::Seen::user));
        for call in calls {
            let Some(answer) = call.answer else { continue };
            assert_eq!(answer.status, 200, "{}", answer.shown());
            let index = receipt_index(&answer).expect("an answered deletion has its receipt");
            self.answered.push((call.user, index));
        }
    }

    fn judge(&self, record: &Record) {
        assert_eq!(
            record.summary.open, 0,
            "open intents while deletions are taken"
        );
        for user in &self.seen {
            record.closed(*user);
        }
        for (user, index) in &self.answered {
            let (deletion, verdict) = record.closed(*user);
            assert_eq!((deletion.index, verdict), (*index, Verdict::Deleted));
        }
    }
}

#[test]
fn p1_p2_kill_nine() {
    let (mut left, seed) = (kills(), tokens::now().unsigned_abs());
    eprintln!("{left} kills, seed {seed}");
    let mut dice = Dice::new(seed);
    while left > 0 {
        let here = left.min(KILLS_A_FOLDER);
        left -= here;
        kill_in_one_folder(here, &mut dice);
    }
}

fn kill_in_one_folder(kills: usize, dice: &mut Dice) {
    let users = Users::start();
    users.behave(Manner::Answer(Duration::from_millis(1)));
    let home = Home::new(users.address(), &[]);
    let (next, mut known) = (Arc::new(AtomicU64::new(1)), Known::default());
    for _ in 0..kills {
        let program = home.start_ready();
        known.judge(&home.record());
        let token = tokens::good_token();
        let load = Load::start(program.address, CONNECTIONS, &next, move |user| {
            deletion(user, &token)
        });
        until("deletions flow", || load.answered() >= CONNECTIONS);
        std::thread::sleep(Duration::from_millis(dice.below(WINDOW_MILLISECONDS)));
        program.kill_nine();
        let calls = load.end();
        until("upstream has read all that was sent", || users.open() == 0);
        known.add(&users, calls);
        if dice.below(3) == 0 {
            kill_while_it_starts(&home, dice);
        }
    }
    let program = home.start_ready();
    known.judge(&home.record());
    let (status, log) = program.stop();
    assert!(status.success(), "{status}\n{log}");
    known.judge(&home.record());
    eprintln!(
        "{} deletions seen, {} answered",
        known.seen.len(),
        known.answered.len()
    );
    assert!(
        users.take_seen().is_empty(),
        "an open deletion is not sent again"
    );
}

/// Kills the gateway during recovery.
fn kill_while_it_starts(home: &Home, dice: &mut Dice) {
    let mut command = home.command();
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(dice.below(60)));
    child.kill().unwrap();
    child.wait().unwrap();
}
