//! The real binary in its own folder: the tests start it, signal it, and watch it from outside.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lychgate::audit::Cause;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::record::Record;
use crate::support::folder::Folder;
pub(crate) use crate::support::wire::PATIENCE;
use crate::support::{tokens, trail, wire};

/// The trail's name.
pub(crate) const ORIGIN: &str = "lychgate.test/suite";
/// The tables of the config to which a scenario may add keys.
const TABLES: &[&str] = &[
    "listen",
    "admin",
    "limits",
    "credentials",
    "upstream",
    "log",
];

/// A folder with a config and all the files that it names.
#[derive(Debug)]
pub(crate) struct Home {
    folder: Folder,
}

impl Home {
    /// A home for this upstream; `keys` are additional lines for tables of the config.
    pub(crate) fn new(upstream: SocketAddr, keys: &[(&str, &str)]) -> Self {
        Self::new_in(Folder::new(), upstream, keys)
    }

    /// Like [`Self::new`], in this folder.
    pub(crate) fn new_in(folder: Folder, upstream: SocketAddr, keys: &[(&str, &str)]) -> Self {
        folder.write("keys.json", tokens::key_set());
        folder.write("lychgate.toml", config(upstream, keys));
        trail::keygen(ORIGIN, &folder.path().join("audit.key"));
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All files below the folder.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.folder.files()
    }

    pub(crate) fn audit(&self) -> PathBuf {
        self.path("audit")
    }

    /// The trail, verified with the key. If it does not verify, the test fails.
    pub(crate) fn record(&self) -> Record {
        self.record_at(&self.audit())
    }

    /// Like [`Self::record`], with the folder at another path.
    pub(crate) fn record_at(&self, directory: &Path) -> Record {
        Record::read(directory, &self.path("audit.key"))
    }

    /// Starts the gateway and waits until it listens.
    pub(crate) fn start(&self) -> Program {
        self.spawn(self.command())
    }

    /// The command that starts the gateway.
    pub(crate) fn command(&self) -> Command {
        let mut command = trail::lychgate();
        command.args(["run", "--config"]);
        command.arg(self.path("lychgate.toml"));
        command
    }

    /// Starts the gateway and waits until it accepts deletions.
    pub(crate) fn start_ready(&self) -> Program {
        let program = self.start();
        program.wait_ready();
        program
    }

    /// Starts this command, which runs the gateway.
    pub(crate) fn spawn(&self, mut command: Command) -> Program {
        let errors = self.path("stderr.txt");
        let file = File::options().create(true).append(true).open(&errors);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(file.unwrap());
        let mut child = command.spawn().expect("the program starts");
        let output = Output::of(child.stdout.take().unwrap());
        let mut addresses = None;
        let begin = Instant::now();
        while addresses.is_none() {
            let ended = child.try_wait().unwrap();
            addresses = serving(&output.text());
            if addresses.is_none() && (ended.is_some() || begin.elapsed() > PATIENCE) {
                let errors = std::fs::read_to_string(&errors).unwrap_or_default();
                panic!("it does not serve: {ended:?}\n{}{errors}", output.text());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let (address, admin) = addresses.unwrap();
        Program {
            child,
            started: begin,
            output,
            address,
            admin,
        }
    }
}

/// The config, each of [`TABLES`] with these keys added.
pub(crate) fn config(upstream: SocketAddr, keys: &[(&str, &str)]) -> String {
    let mut text = format!(
        r#"[listen]
address = "127.0.0.1:0"

[admin]
address = "127.0.0.1:0"

[limits]

[credentials]

[upstream]

[log]
format = "json"

[audit]
directory = "audit"
origin = "{ORIGIN}"
key_file = "audit.key"
segment_bytes = "2MiB"
sync_timeout = "60s"

[domains.accounts]
"{account}" = "http://{upstream}"

[[issuer]]
issuer = "{issuer}"
audience = ["{audience}"]
algorithms = ["ES256"]
jwks_file = "keys.json"
"#,
        account = tokens::ACCOUNT,
        issuer = tokens::ISSUER,
        audience = tokens::AUDIENCE,
    );
    for (table, line) in keys {
        assert!(TABLES.contains(table) || *table == "audit");
        if line.starts_with("sync_timeout") {
            text = text.replace("sync_timeout = \"60s\"\n", "");
        }
        let head = format!("[{table}]\n");
        text = text.replacen(&head, &format!("{head}{line}\n"), 1);
    }
    text
}

/// Both addresses, once the log reports that the gateway serves.
fn serving(text: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line = text.lines().find(|line| line.contains("\"serving\""))?;
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |name: &str| {
        let field = line.get(name).or_else(|| line["fields"].get(name));
        field.and_then(Value::as_str)?.parse().ok()
    };
    Some((address("address")?, address("admin")?))
}

/// A running gateway, killed when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    started: Instant,
    output: Output,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Program {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The standard output so far.
    pub(crate) fn log(&self) -> String {
        self.output.text()
    }

    /// The detail in the access line of an answered request. The line may be written after the answer.
    pub(crate) fn logged_detail(&self, answer: &wire::Answer) -> String {
        let id = answer
            .header("x-request-id")
            .expect("each answer has an id");
        let mut line = Value::Null;
        until("the access line is written", || {
            let log = self.log();
            let lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let mut lines = lines.filter(|line: &Value| line["target"] == "lychgate::access");
            let found = lines.find(|line| line["request_id"] == id);
            line = found.unwrap_or_default();
            line.is_object()
        });
        assert_eq!(line["level"], "info");
        assert_eq!(line["status"], answer.status);
        let code = answer.header("lychgate-refusal").unwrap_or_default();
        assert_eq!(line["code"], code);
        line["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// Starts or stops reading the standard output.
    pub(crate) fn read_output(&self, on: bool) {
        self.output.shared.paused.store(!on, Ordering::Release);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Kills the gateway without warning.
    pub(crate) fn kill_nine(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Signals the gateway to stop and waits until it ends.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until the gateway ends; also returns its standard output.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut status = None;
        until("the gateway ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        self.read_output(true);
        until("its output ends", || {
            self.output.shared.ended.load(Ordering::Acquire)
        });
        (status.unwrap(), self.log())
    }

    /// An admin page.
    pub(crate) fn page(&self, path: &str) -> wire::Answer {
        wire::get(self.admin, path).expect("the admin listener answers")
    }

    pub(crate) fn takes_deletions(&self) -> bool {
        self.page("/readyz?for=deletions").status == 200
    }

    pub(crate) fn wait_ready(&self) {
        until("deletions are taken", || self.takes_deletions());
        if !self.output.shared.paused.load(Ordering::Acquire) {
            let ends_well = |lines: &[Value]| {
                let last = lines.last();
                last.is_none_or(|line| line["message"] == "deletions are accepted")
            };
            until("the log says so", || ends_well(&self.logged_changes()));
        }
    }

    /// The log lines about the trail's availability.
    fn logged_changes(&self) -> Vec<Value> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("\"deletions are "));
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until deletions are refused for this cause.
    pub(crate) fn wait_for_cause(&self, cause: &str) {
        until(cause, || {
            let page = self.page("/readyz?verbose");
            String::from_utf8_lossy(&page.body).contains(cause)
        });
        if Cause::ALL.iter().any(|known| known.as_str() == cause) {
            self.logs_cause(cause);
        }
    }

    /// Asserts that the log gives the cause, the folder and the remedy, once for each time that deletions were
    /// refused, and then at most once a minute.
    pub(crate) fn logs_cause(&self, cause: &str) {
        let lines = || {
            let mut lines = self.logged_changes();
            lines.retain(|line| line["cause"] == cause);
            lines
        };
        until("the log gives the cause", || !lines().is_empty());
        let (lines, minutes) = (lines(), self.started.elapsed().as_secs() / 60);
        let all = self.logged_changes();
        let accepted = all.iter().filter(|line| line["level"] == "info").count() as u64;
        assert!(lines.len() as u64 <= 1 + accepted + minutes, "{all:#?}");
        for line in lines {
            let given = |field: &str| line[field].as_str().is_some_and(|text| !text.is_empty());
            let is_complete = ["directory", "reason", "remedy", "since"]
                .into_iter()
                .all(given);
            assert!(is_complete && line["level"] == "error", "{line:#}");
        }
    }

    /// Waits until a checkpoint covers every entry.
    pub(crate) fn wait_published(&self) {
        until("all is published", || {
            let published = self.metric("lychgate_audit_checkpoint_entries");
            published > 0 && published == self.metric("lychgate_audit_entries_total")
        });
    }

    /// The sum of all metrics whose line begins with `begin`.
    pub(crate) fn metric(&self, begin: &str) -> u64 {
        let page = self.page("/metrics");
        let text = String::from_utf8(page.body).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(begin));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum::<f64>() as u64
    }

    /// The resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program's output, read by a thread.
#[derive(Debug)]
struct Output {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    text: Mutex<Vec<u8>>,
    paused: AtomicBool,
    ended: AtomicBool,
}

impl Output {
    fn of(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let reading = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            loop {
                while reading.paused.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                match pipe.read(&mut piece) {
                    Ok(count) if count > 0 => {
                        let text = reading.text.lock();
                        let mut text = text.unwrap_or_else(PoisonError::into_inner);
                        text.extend_from_slice(&piece[..count]);
                    }
                    _ => break,
                }
            }
            reading.ended.store(true, Ordering::Release);
        });
        Self { shared }
    }

    fn text(&self) -> String {
        let text = self.shared.text.lock();
        let text = text.unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Waits until the condition holds, at most [`PATIENCE`].
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether to run the long form of a test: `LYCHGATE_FULL`.
pub(crate) fn full() -> bool {
    std::env::var_os("LYCHGATE_FULL").is_some()
}
