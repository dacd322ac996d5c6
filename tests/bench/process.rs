//! Processes that are measured: pinned, watched by `/proc`, stopped by their id.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Stopped when dropped.
pub(crate) struct Process(Child);

impl Process {
    /// Starts a command on these cores, such as `0` or `0,1`.
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

    /// On-CPU time of all its threads.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu_where(|_| true)
    }

    /// On-CPU time of its threads of this name.
    pub(crate) fn cpu_of(&self, thread: &str) -> Duration {
        self.cpu_where(|name| name == thread)
    }

    fn cpu_where(&self, counts: impl Fn(&str) -> bool) -> Duration {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs");
        let nanoseconds = tasks
            .filter_map(|task| {
                let task = task.ok()?.path();
                let name = std::fs::read_to_string(task.join("comm")).ok()?;
                let text = std::fs::read_to_string(task.join("schedstat")).ok()?;
                let spent = text.split(' ').next()?.parse::<u64>().ok()?;
                counts(name.trim_end()).then_some(spent)
            })
            .sum();
        Duration::from_nanos(nanoseconds)
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

/// What the load saw.
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
    let me = std::env::current_exe().expect("this program has a path");
    let output = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(me)
        .args(["role", "load", address, &connections.to_string()])
        .args([&duration.as_millis().to_string(), method, tokens])
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
