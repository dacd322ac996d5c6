//! `lychgate run`: serves until a signal stops it.

use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

use super::check;
use super::exit::{Exit, Stop};
use crate::clock::Clock;
use crate::config::Config;
use crate::gateway::machine::raise_descriptor_limit;
use crate::gateway::{Gateway, ReloadRefused};
use crate::metrics::Metrics;
use crate::telemetry::Logs;

/// The maximum number of worker threads, even if there are more cores.
const MAX_WORKERS: usize = 64;
/// The maximum number of threads for blocking work, such as name lookups and reading a config.
const MAX_BLOCKING_THREADS: usize = 32;

/// Serves with this config file. SIGHUP reloads the file; SIGTERM and SIGINT drain and stop.
///
/// Exit codes: 0 stopped by a signal, 74 I/O, 78 config.
pub(super) fn run(config: &Path) -> Result<Exit, Stop> {
    let config = check::load(config)?;
    raise_descriptor_limit();
    let metrics = Metrics::new();
    let dropped = metrics.log_lines_dropped.clone();
    let logs = Logs::start(&config.telemetry, Clock::system(), dropped)
        .map_err(|error| Stop::io(format!("cannot write logs to standard output: {error}")))?;
    let runtime = runtime().map_err(|error| Stop::io(format!("cannot start threads: {error}")))?;
    let served = runtime.block_on(serve(config, metrics, &logs));
    // Only abandoned work is left, for example a name lookup that hangs; do not wait for it.
    runtime.shutdown_background();
    logs.stop();
    served.map(|()| Exit::Fine)
}

async fn serve(config: Config, metrics: Metrics, logs: &Logs) -> Result<(), Stop> {
    let path = config.path.clone();
    let shown = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    let listen = |kind| {
        signal(kind).map_err(|error| Stop::io(format!("cannot install signal handlers: {error}")))
    };
    // These handlers stay installed, so a second signal changes nothing.
    let mut hangup = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let gateway = Gateway::start_with(config, Clock::system(), metrics)
        .await
        .map_err(|error| {
            tracing::error!(%error, "the gateway cannot start");
            Stop::io(error)
        })?;
    tracing::info!(
        address = %gateway.address(),
        admin = %gateway.admin_address(),
        config = %shown.display(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => reload(&gateway, &path, logs).await,
        }
    }
    tracing::info!("stop requested: draining");
    gateway.stop().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reloads the config. A refused reload changes nothing; the log and `/readyz?verbose` show the
/// reason.
async fn reload(gateway: &Gateway, path: &Path, logs: &Logs) {
    let read = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || Config::load(&read)).await;
    let config = match loaded {
        Ok(Ok(config)) => config,
        Ok(Err(problems)) => return gateway.refuse_reload(&ReloadRefused::invalid(&problems)),
        Err(_) => return gateway.refuse_reload(&ReloadRefused::by_defect()),
    };
    let (hash, telemetry) = (config.hash.clone(), config.telemetry.clone());
    // A refusal is in the log already.
    if gateway.reload(config).await.is_ok() {
        logs.set(&telemetry);
        tracing::info!(config = hash, "reloaded");
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    // The number of cores that CPU affinity and the cgroup's quota allow to this process.
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
