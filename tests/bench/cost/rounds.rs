//! CPU time per request, in rounds that alternate between the binaries, so that a disturbance of
//! the machine affects both.

use std::time::Duration;

use super::{SCRUB, Subject};
use crate::gateway::Setup;
use crate::process::{Process, load};

const ROUNDS: usize = 41;
const ROUND: Duration = Duration::from_millis(500);
const SETTLE: Duration = Duration::from_millis(100);
const CONNECTIONS: usize = 64;

/// Microseconds of CPU time per request, one value per round.
pub(super) struct Rounds(Vec<f64>);

impl Rounds {
    /// The first quartile, the median and the third quartile.
    pub(super) fn quartiles(&self) -> [f64; 3] {
        quartiles(self.0.clone())
    }

    /// The median of the ratios to the other's values of the same rounds.
    pub(super) fn ratio_to(&self, other: &Self) -> f64 {
        let ratios = self.0.iter().zip(&other.0).map(|(mine, its)| mine / its);
        quartiles(ratios.collect())[1]
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

pub(super) fn alternate(subject: &Subject, binaries: &[&str]) -> Vec<Rounds> {
    // All folders stay until the end: when ext4 creates a file, it checks every inode that was
    // freed in the last minutes.
    let setups: Vec<Setup> = binaries.iter().map(|binary| Setup::of(binary)).collect();
    let running: Vec<_> = setups
        .iter()
        .map(|setup| {
            let upstream = setup.start_upstream(subject.load_core);
            let gateway = setup.start();
            subject.warm_up(setup);
            (setup, gateway, upstream)
        })
        .collect();
    let mut all: Vec<Vec<f64>> = binaries.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for turn in 0..running.len() {
            let at = (round + turn) % running.len();
            let (setup, gateway, _) = &running[at];
            all[at].push(one_round(subject, setup, gateway));
        }
    }
    all.into_iter().map(Rounds).collect()
}

fn one_round(subject: &Subject, setup: &Setup, gateway: &Process) -> f64 {
    let run = |time| {
        let (core, address, tokens) = (subject.load_core, &setup.address, setup.tokens());
        load(core, address, CONNECTIONS, time, subject.method, &tokens)
    };
    run(SETTLE);
    let cpu = || gateway.cpu_where(|thread| thread != SCRUB);
    let before = cpu();
    let seen = run(ROUND);
    let spent = cpu() - before;
    assert_eq!(seen.other, 0, "every {} is answered 200", subject.method);
    spent.as_secs_f64() * 1e6 / seen.answered
}
