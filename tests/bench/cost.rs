//! `cost`: the resources that a warm ES256 read and a durable deletion use, compared with another
//! build of the gateway. `docs/performance.md` explains the rows and the bounds.

mod callgrind;
mod rounds;
mod strace;
mod table;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use super::gateway::{BINARY, Setup};
use super::process::{Load, Pace, paced};
use rounds::Rounds;

/// Requests before a measurement; they fill the token cache and bring every buffer to its size.
const WARM_UP: u32 = 2_000;
/// The scrub thread. It reads the trail at a fixed rate, independent of the requests, so no row
/// includes it.
const SCRUB: &str = "audit-scrub";
/// The measuring programs and their Debian packages.
const TOOLS: [(&str, &str); 4] = [
    ("valgrind", "valgrind"),
    ("vgdb", "valgrind"),
    ("strace", "strace"),
    ("taskset", "util-linux"),
];

/// A kind of request to measure.
struct Subject {
    /// Its name on the command line.
    part: &'static str,
    name: &'static str,
    method: &'static str,
    /// The pace while strace counts system calls.
    traced: Pace,
    /// The pace while callgrind counts instructions, which makes the gateway about fifty times
    /// slower.
    simulated: Pace,
    /// The bound on the ratio of its instructions to the other build's.
    most_instructions: f64,
    /// The core of the load and upstream during the measurement of CPU time.
    load_core: usize,
}

/// Longer than the log thread collects lines, so that each line takes a write of its own.
const AFTER_THE_LOG: Duration = Duration::from_millis(7);

const SUBJECTS: [Subject; 2] = [
    Subject {
        part: "reads",
        name: "warm ES256 read",
        method: "GET",
        traced: Pace {
            requests: 10_000,
            apart: Duration::from_millis(10),
            rest: AFTER_THE_LOG,
        },
        simulated: Pace {
            requests: 10_000,
            apart: Duration::from_millis(4),
            rest: Duration::ZERO,
        },
        most_instructions: 1.03,
        // On two cores, the gateway would pay for waking the other core whenever that had time to
        // sleep.
        load_core: 0,
    },
    Subject {
        part: "deletions",
        name: "durable deletion",
        method: "DELETE",
        traced: Pace {
            requests: 10_000,
            apart: Duration::from_millis(12),
            rest: AFTER_THE_LOG,
        },
        simulated: Pace {
            requests: 5_000,
            apart: Duration::from_millis(15),
            rest: Duration::ZERO,
        },
        most_instructions: 1.06,
        load_core: 1,
    },
];

/// The resources that one request uses.
struct Cost {
    instructions: f64,
    allocations: f64,
    system_calls: f64,
    fdatasyncs: f64,
    /// The publisher's periodic syncs, such as `fsync`.
    other_syncs: f64,
    cpu: Rounds,
}

/// Measures and prints. Returns a failure if another build is given and a bound is exceeded.
pub(crate) fn run(words: &[&str]) -> ExitCode {
    let (part, words) = match words {
        [part @ ("reads" | "deletions"), rest @ ..] => (Some(*part), rest),
        all => (None, all),
    };
    let binaries = match words {
        [] => vec![BINARY],
        ["--against", path] => vec![BINARY, path],
        _ => {
            eprintln!(
                "usage: cargo bench --bench bench -- cost [reads|deletions] [--against PATH]"
            );
            return ExitCode::from(2);
        }
    };
    let missing: Vec<_> = TOOLS.iter().filter(|(tool, _)| !is_there(tool)).collect();
    for (tool, package) in &missing {
        eprintln!("`{tool}` is missing: install Debian's package `{package}`");
    }
    let broken: Vec<_> = binaries.iter().filter(|binary| !is_there(binary)).collect();
    for binary in &broken {
        eprintln!("`{binary}` does not run");
    }
    if !missing.is_empty() || !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    let mut holds = true;
    let wanted = |subject: &&Subject| part.is_none_or(|part| part == subject.part);
    for subject in SUBJECTS.iter().filter(wanted) {
        holds &= table::print(subject, &subject.measure(&binaries));
    }
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn is_there(program: &str) -> bool {
    let mut tried = Command::new(program);
    tried.arg("--version");
    // Hides its output.
    tried
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

impl Subject {
    fn measure(&self, binaries: &[&str]) -> Vec<Cost> {
        let cpu = rounds::alternate(self, binaries);
        let costs = binaries.iter().zip(cpu).map(|(binary, cpu)| {
            let counted = callgrind::count(self, binary);
            let calls = strace::count(self, binary);
            let simulated = |count: u64| count as f64 / f64::from(self.simulated.requests);
            let traced = |count: u64| count as f64 / f64::from(self.traced.requests);
            Cost {
                instructions: simulated(counted.instructions),
                allocations: simulated(counted.allocations),
                system_calls: traced(calls.all),
                fdatasyncs: traced(calls.fdatasyncs),
                other_syncs: traced(calls.other_syncs),
                cpu,
            }
        });
        costs.collect()
    }

    /// Sends requests until the gateway answers each with 200, then [`WARM_UP`] more.
    fn warm_up(&self, setup: &Setup) {
        let begun = Instant::now();
        let closed_loop = |requests| Pace {
            requests,
            apart: Duration::ZERO,
            rest: Duration::ZERO,
        };
        while self.send(setup, closed_loop(10)).other > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "it refuses");
            std::thread::sleep(Duration::from_millis(100));
        }
        self.send(setup, closed_loop(WARM_UP));
    }

    /// Sends the counted requests.
    fn send_counted(&self, setup: &Setup, pace: Pace) {
        let seen = self.send(setup, pace);
        assert_eq!(seen.other, 0, "every {} is answered 200", self.method);
        let planned = (pace.apart * pace.requests).as_secs_f64();
        if seen.seconds > planned * 1.05 {
            eprintln!(
                "warning: {} requests took {:.0} s instead of {planned:.0}, so that each holds more of what the \
                 gateway does by the clock; measure again while the machine is less busy",
                pace.requests, seen.seconds
            );
        }
    }

    fn send(&self, setup: &Setup, pace: Pace) -> Load {
        paced(&setup.address, pace, self.method, &setup.tokens())
    }
}
