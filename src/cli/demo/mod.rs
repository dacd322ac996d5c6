//! `lychgate demo`: runs the real gateway in front of the simulator and makes six calls.
//!
//! [`scene`] starts everything in a temporary folder, [`story`] makes the calls and compares the results
//! with the expected ones, [`call`] sends a request, [`ending`] shows how the trail is verified,
//! [`page`] prints. With `--once` the demo then exits, and the exit code says whether every result was
//! as expected. SIGINT, SIGTERM and SIGHUP end the demo at any point. However the demo ends, it removes
//! its folder.

mod call;
mod ending;
mod page;
mod scene;
mod story;

use std::io::{ErrorKind, Write};
use std::time::Duration;

use anstream::AutoStream;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::{Exit, Stop};
use crate::audit::Receipt;
use scene::Scene;

/// The runtime's worker threads. This number is enough for the demo's gateway.
const WORKERS: usize = 2;
/// How long tasks may take to end before they are abandoned.
const SHUTDOWN: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate demo
  lychgate demo --verbose
  lychgate demo --once

The demo plays, then serves until Ctrl-C. With --once it exits after playing,
with 0 only if every result was as expected.")]
pub(super) struct Arguments {
    /// Stop after the demo
    #[arg(long)]
    once: bool,
    /// Show each call as a curl command, with its full answer and entry
    #[arg(long)]
    verbose: bool,
}

/// Plays the demo. Without `--once`, the gateway then serves until a signal arrives.
pub(super) fn run(arguments: &Arguments) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Stop::io(format!("cannot start threads: {error}")))?;
    let ended = runtime.block_on(perform(arguments));
    runtime.shutdown_timeout(SHUTDOWN);
    ended
}

async fn perform(arguments: &Arguments) -> Result<Exit, Stop> {
    // Installs the handlers before the folder exists, so that no signal leaves the folder behind.
    let mut signals = Signals::listen()
        .map_err(|error| Stop::io(format!("cannot install signal handlers: {error}")))?;
    let scene = Scene::start().await.map_err(not_set_up)?;
    let played = tokio::select! {
        played = play(&scene, arguments) => played,
        () = signals.next() => Err(Stop::no("a signal ended the demo before its end")),
    };
    if !arguments.once && played.is_ok() {
        signals.next().await;
    }
    scene.gateway.stop().await;
    let removed = scene.folder.remove().map_err(Stop::io)?;
    // If the terminal is gone, this fails, and there is nowhere to report the error.
    let _ = write_out(|out| page::removed(out, &removed));
    played
}

/// Waits until the gateway is ready, then plays all of the demo.
async fn play(scene: &Scene, arguments: &Arguments) -> Result<Exit, Stop> {
    scene.wait_until_ready().await.map_err(not_set_up)?;
    match play_story(scene, arguments).await {
        Ok(true) => Ok(Exit::Fine),
        Ok(false) => Ok(Exit::No),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::Output(error)),
        Err(error) => Err(Stop::io(format!("cannot write the story: {error}"))),
    }
}

fn not_set_up(why: String) -> Stop {
    Stop::io(format!("the demo cannot be set up: {why}"))
}

/// Makes the calls, then plays the ending. Returns whether every result was as expected.
async fn play_story(scene: &Scene, arguments: &Arguments) -> std::io::Result<bool> {
    let Arguments { once, verbose } = *arguments;
    let mut as_expected = true;
    let mut entries = 0;
    let mut receipts = Vec::new();
    write_out(|out| page::opening(out, scene, verbose))?;
    for (number, step) in (1..).zip(&story::steps(scene)) {
        let happened = story::play(scene, step).await;
        let faults = story::faults(step, &happened);
        as_expected &= faults.is_empty();
        write_out(|out| {
            match verbose {
                true => page::step(out, number, step, &happened)?,
                false => page::row(out, number, step, &happened)?,
            }
            page::faults(out, &faults)
        })?;
        if let Some(entry) = &happened.entry {
            entries = entry.closing_index.unwrap_or(entry.index) + 1;
        }
        receipts.extend(happened.answer.ok().as_ref().and_then(ending::receipt));
    }
    as_expected &= play_ending(scene, entries, receipts.first(), verbose).await?;
    let verified = scene.verify();
    as_expected &= verified.is_ok();
    write_out(|out| {
        page::verdict(out, &verified)?;
        match receipts.first() {
            Some(receipt) if !once => page::to_paste(out, scene, receipt),
            _ => Ok(()),
        }
    })?;
    Ok(as_expected)
}

/// Waits until a checkpoint covers all entries. Then shows the verification of an altered trail and of a
/// receipt. Returns whether every result was as expected.
async fn play_ending(
    scene: &Scene,
    entries: u64,
    receipt: Option<&Receipt>,
    verbose: bool,
) -> std::io::Result<bool> {
    let covered = scene.wait_for_checkpoint(entries).await;
    let receipt = covered.and_then(|()| receipt.ok_or_else(|| "there is no receipt".to_owned()));
    let receipt = match receipt {
        Ok(receipt) => receipt,
        Err(fault) => return write_out(|out| page::faults(out, &[fault])).map(|()| false),
    };
    let mut as_expected = true;
    let stage = ending::Stage {
        folder: scene.folder.path(),
        key: &scene.verifier,
    };
    let acts = [
        ending::altered_copy(stage, receipt),
        ending::proved_receipt(stage, receipt),
    ];
    for (number, act) in (story::STEPS + 1..).zip(&acts) {
        as_expected &= act.fault.is_none();
        write_out(|out| page::act(out, number, act, verbose))?;
    }
    Ok(as_expected)
}

/// Prints one step and flushes, so that the step shows at once. Uses color only on a terminal.
fn write_out(page: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut out = AutoStream::auto(std::io::stdout().lock());
    page(&mut out)?;
    out.flush()
}

/// The signals that end the demo.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests;
