//! `lychgate run`: serves until a signal stops it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use super::output::tell;
use crate::clock::Clock;
use crate::config::{Config, Problems};
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::telemetry::Logs;

/// Limit on worker threads, whatever the number of cores.
const MAX_WORKERS: usize = 64;
/// Limit on threads for blocking work: name lookups, reading a config.
const MAX_BLOCKING_THREADS: usize = 32;

/// Serves with this config file. SIGHUP reloads it; SIGTERM and SIGINT drain and stop.
///
/// Exit codes: 0 stopped by a signal, 74 I/O, 78 config.
pub(crate) fn run(config: &Path) -> ExitCode {
    let loaded = match Config::load(config) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems),
    };
    let metrics = Metrics::new();
    let dropped = metrics.log_lines_dropped.clone();
    let logs = match Logs::start(&loaded.telemetry, Clock::system(), dropped) {
        Ok(logs) => logs,
        Err(error) => return fail(&format!("cannot write logs to standard output: {error}")),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start threads: {error}")),
    };
    let served = runtime.block_on(serve(loaded, metrics, &logs));
    // Only abandoned work is left, for example a name lookup that hangs; do not wait for it.
    runtime.shutdown_background();
    logs.stop();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

async fn serve(config: Config, metrics: Metrics, logs: &Logs) -> Result<(), String> {
    let path = config.path.clone();
    let mut signals =
        Signals::new().map_err(|error| format!("cannot install signal handlers: {error}"))?;
    let gateway = Gateway::start_with(config, Clock::system(), metrics)
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!(
        address = %gateway.address(),
        admin = %gateway.admin_address(),
        config = %path.display(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    while signals.next().await == Request::Reload {
        reload(&gateway, &path, logs).await;
    }
    tracing::info!("stop requested: draining");
    // The signal handlers stay installed, so a second signal changes nothing.
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reloads the config. A refused reload changes nothing; the log and `/readyz?verbose` show the
/// reason.
async fn reload(gateway: &Gateway, path: &Path, logs: &Logs) {
    let read = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&read)).await;
    let (config, telemetry) = match loaded {
        Ok(Ok(config)) => {
            let telemetry = config.telemetry.clone();
            (config, telemetry)
        }
        Ok(Err(problems)) => {
            tracing::error!(
                problems = problems.count,
                "reload refused: {}",
                problems.rendered
            );
            gateway.refuse_reload(&problems.rendered);
            return;
        }
        Err(_) => {
            tracing::error!("reload refused: reading the config failed by a defect");
            gateway.refuse_reload("reading the config failed by a defect");
            return;
        }
    };
    let hash = config.hash.clone();
    match gateway.reload(config).await {
        Ok(()) => {
            logs.set(&telemetry);
            tracing::info!(config = hash, "reloaded");
        }
        Err(error) => tracing::error!("reload refused: {error}"),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Reload,
    Stop,
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Request {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Request::Stop,
            _ = self.interrupt.recv() => Request::Stop,
            _ = self.hangup.recv() => Request::Reload,
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // Counts the cores that this process may use: CPU affinity and the cgroup's quota.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores == 1 {
        // A single thread needs no queues that are shared between threads.
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder
        .worker_threads(cores.min(MAX_WORKERS))
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .thread_name("serve")
        .enable_all()
        .build()
}

fn refuse(problems: &Problems) -> ExitCode {
    let exit = if problems.unreadable {
        Exit::Io
    } else {
        Exit::Config
    };
    // If standard error is closed, the exit code still reports the failure.
    let _ = writeln!(anstream::stderr(), "{}", problems.rendered.trim_end());
    exit.into()
}

fn fail(why: &str) -> ExitCode {
    tell(why);
    Exit::Io.into()
}
