//! Measured processes: pinned to cores, observed through `/proc`, stopped by their id.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A child process, stopped on drop.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command on these cores, for example `0` or `0,1`.
    pub(crate) fn start(cores: &str, command: &[&str]) -> Self {
        let child = Command::new("taskset")
            .args(["-c", cores])
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("taskset starts the program");
        Self(child)
    }

    /// Starts this program in another role on one core.
    pub(crate) fn role(core: usize, words: &[&str]) -> Self {
        let me = std::env::current_exe().expect("this program has a path");
        let mut command = vec![me.to_str().expect("a plain path"), "role"];
        command.extend(words);
        Self::start(&core.to_string(), &command)
    }

    /// The process id; `taskset` replaces itself with the program that it starts.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The ids of its threads.
    pub(crate) fn threads(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs");
        let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        ids.collect()
    }

    /// The thread with this name.
    pub(crate) fn thread(&self, name: &str) -> Option<u32> {
        let mut threads = self.threads().into_iter();
        threads.find(|thread| self.of_thread(*thread, "comm").trim_end() == name)
    }

    /// Whether another process traces this thread.
    pub(crate) fn is_traced(&self, thread: u32) -> bool {
        let status = self.of_thread(thread, "status");
        !status.contains("\nTracerPid:\t0\n")
    }

    /// A file of `/proc` for a thread; empty if the thread has ended.
    fn of_thread(&self, thread: u32, file: &str) -> String {
        let path = format!("/proc/{}/task/{thread}/{file}", self.0.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The on-CPU time of all threads.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu_where(|_| true)
    }

    /// The on-CPU time of the threads with this name.
    pub(crate) fn cpu_of(&self, thread: &str) -> Duration {
        self.cpu_where(|name| name == thread)
    }

    /// The on-CPU time of the threads whose name `counts` accepts.
    pub(crate) fn cpu_where(&self, counts: impl Fn(&str) -> bool) -> Duration {
        let nanoseconds = self.threads().into_iter().filter_map(|thread| {
            let name = self.of_thread(thread, "comm");
            let text = self.of_thread(thread, "schedstat");
            let spent = text.split(' ').next()?.parse::<u64>().ok()?;
            counts(name.trim_end()).then_some(spent)
        });
        Duration::from_nanos(nanoseconds.sum())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()));
        status
            .expect("it runs")
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
            .expect("a size")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The results of a load.
pub(crate) struct Load {
    /// Answers with 200.
    pub(crate) answered: f64,
    /// All other answers.
    pub(crate) other: u64,
    /// Wall time.
    pub(crate) seconds: f64,
    /// Median latency in seconds.
    pub(crate) median: f64,
}

/// Runs the load to its end on a core.
pub(crate) fn load(
    core: usize,
    address: &str,
    connections: usize,
    duration: Duration,
    method: &str,
    tokens: &str,
) -> Load {
    let connections = connections.to_string();
    let milliseconds = duration.as_millis().to_string();
    see(
        core,
        &["load", address, &connections, &milliseconds, method, tokens],
    )
}

/// The pace of one connection.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    /// The number of requests.
    pub(crate) requests: u32,
    /// The time between the planned starts of two requests.
    pub(crate) apart: Duration,
    /// The minimum time from an answer to the next request.
    pub(crate) rest: Duration,
}

/// Runs one paced connection to its end on core 1.
pub(crate) fn paced(address: &str, pace: Pace, method: &str, tokens: &str) -> Load {
    let requests = pace.requests.to_string();
    let [apart, rest] = [pace.apart, pace.rest].map(|time| time.as_millis().to_string());
    see(
        1,
        &["paced", address, &requests, &apart, &rest, method, tokens],
    )
}

/// Runs this program in a role and parses its results.
fn see(core: usize, role: &[&str]) -> Load {
    let me = std::env::current_exe().expect("this program has a path");
    let output = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(me)
        .arg("role")
        .args(role)
        .output()
        .expect("the load runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<f64> = text
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [answered, other, seconds, median] = words[..] else {
        panic!(
            "the load failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Load {
        answered,
        other: other as u64,
        seconds,
        median,
    }
}
