//! `lychgate run`: serve until told to stop.

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

/// However many cores there are, no more threads serve.
const MAX_WORKERS: usize = 64;
/// Threads for what blocks: name look-ups, reading a config.
const MAX_BLOCKING_THREADS: usize = 32;

/// Serves with the config in this file. SIGHUP reads it again; SIGTERM and SIGINT drain and stop.
///
/// Exit codes: 0 stopped as told, 74 I/O, 78 config.
pub fn run(config: &Path) -> ExitCode {
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
    // Nothing that matters is left: a look-up that hangs must not hold up the end.
    runtime.shutdown_background();
    logs.stop();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => fail(&why),
    }
}

async fn serve(config: Config, metrics: Metrics, logs: &Logs) -> Result<(), String> {
    let path = config.path.clone();
    let mut signals = Signals::new().map_err(|error| format!("cannot take signals: {error}"))?;
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
    while signals.next().await == Told::Reload {
        reload(&gateway, &path, logs).await;
    }
    tracing::info!("told to stop: draining");
    // Signals stay taken, so a second one changes nothing.
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// A refused reload changes nothing; its reason stands in the log and in `/readyz?verbose`.
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
enum Told {
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

    async fn next(&mut self) -> Told {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // Counts the cores that this process may use: its affinity, its group's quota.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = if cores == 1 {
        // One thread needs no queues shared with others.
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
    // Where even standard error is gone, the exit code says it.
    let _ = writeln!(anstream::stderr(), "{}", problems.rendered.trim_end());
    exit.into()
}

fn fail(why: &str) -> ExitCode {
    tell(why);
    Exit::Io.into()
}
