//! `cost`: what a warm ES256 read and a durable deletion take, and whether that is more than another build of the
//! gateway takes. `docs/performance.md` explains the rows and the bounds.

mod callgrind;
mod rounds;
mod strace;
mod table;

use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use super::gateway::{BINARY, Setup};
use super::process::{Load, Pace, paced};
use rounds::Rounds;

/// Requests before a window: every token is in the cache, every buffer has its size.
const WARM_UP: u32 = 2_000;
/// The thread that reads the trail again at a rate of its own, however many requests come: no row holds it.
const SCRUB: &str = "audit-scrub";
/// The programs that count, and the Debian packages that hold them.
const TOOLS: [(&str, &str); 4] = [
    ("valgrind", "valgrind"),
    ("vgdb", "valgrind"),
    ("strace", "strace"),
    ("taskset", "util-linux"),
];

/// A kind of request under measure.
struct Subject {
    /// What the command calls it.
    part: &'static str,
    name: &'static str,
    method: &'static str,
    /// While system calls are counted.
    traced: Pace,
    /// While instructions are counted, which makes the gateway about fifty times slower.
    simulated: Pace,
    /// At most so many times another build's instructions.
    most_instructions: f64,
    /// The core of load and upstream while CPU time is measured.
    load_core: usize,
}

/// More than the log's thread lets lines gather: each has a write of its own, by itself.
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
        // On two cores, a gateway that leaves the other one time to sleep pays for waking it.
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

/// What one request of a subject takes.
struct Cost {
    instructions: f64,
    allocations: f64,
    system_calls: f64,
    fdatasyncs: f64,
    /// The publisher's, by the clock: `fsync` and the like.
    other_syncs: f64,
    cpu: Rounds,
}

/// Measures and prints; fails if another build is named and a bound is broken.
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
    // What it says does not matter.
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

    /// Sends the requests that are counted.
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
