//! `lychgate demo`: runs the real gateway in front of the simulator and makes six calls.
//!
//! [`scene`] starts everything in a temporary folder, [`story`] makes the calls and compares the
//! results with the expected ones, [`call`] sends a request, [`ending`] shows how the trail is
//! verified, [`page`] prints. With `--once` the demo exits after that, and the exit code says
//! whether every result was as expected.

mod call;
mod ending;
mod page;
mod scene;
mod story;

use std::io::Write;
use std::time::Duration;

use anstream::AutoStream;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Stop};
use crate::audit::Receipt;
use scene::Scene;

/// Enough for the demo's gateway.
const WORKERS: usize = 2;
/// How long tasks may take to end before they are abandoned.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Plays the demo; without `once`, then serves until Ctrl-C.
pub(super) fn run(once: bool) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| Stop::io(format!("cannot start threads: {error}")))?;
    let ended = runtime.block_on(perform(once));
    runtime.shutdown_timeout(SHUTDOWN);
    ended
}

async fn perform(once: bool) -> Result<Exit, Stop> {
    let scene = Scene::set()
        .await
        .map_err(|error| Stop::io(format!("the demo cannot be set up: {error}")))?;
    let played = play_story(&scene, once).await;
    if !once && played.is_ok() {
        wait_for_signal().await;
    }
    scene.gateway.stop().await;
    match played {
        Ok(true) => Ok(Exit::Fine),
        Ok(false) => Ok(Exit::No),
        // `lychgate demo | head` has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(Stop::io(format!("cannot write the story: {error}"))),
    }
}

/// Returns whether every result was as expected.
async fn play_story(scene: &Scene, once: bool) -> std::io::Result<bool> {
    let mut as_expected = true;
    let mut entries = 0;
    let mut receipts = Vec::new();
    write_out(|out| page::opening(out, scene))?;
    for (number, step) in story::steps(scene).iter().enumerate() {
        let happened = story::play(scene, step).await;
        let faults = story::faults(step, &happened);
        as_expected &= faults.is_empty();
        write_out(|out| page::step(out, number + 1, step, &happened, &faults))?;
        if let Some(entry) = &happened.entry {
            entries = entry.closing_index.unwrap_or(entry.index) + 1;
        }
        receipts.extend(happened.answer.ok().as_ref().and_then(ending::receipt));
    }
    as_expected &= play_ending(scene, entries, receipts.first()).await?;
    let verified = scene.verify();
    as_expected &= verified.is_ok();
    write_out(|out| {
        page::verdict(out, &verified)?;
        if once {
            return Ok(());
        }
        page::to_paste(out, scene)
    })?;
    Ok(as_expected)
}

/// Shows the verification of a trail and of a receipt, after a checkpoint covers all entries.
async fn play_ending(
    scene: &Scene,
    entries: u64,
    receipt: Option<&Receipt>,
) -> std::io::Result<bool> {
    let covered = scene.wait_for_checkpoint(entries).await;
    let receipt = covered.and_then(|()| receipt.ok_or_else(|| "there is no receipt".to_owned()));
    let receipt = match receipt {
        Ok(receipt) => receipt,
        Err(fault) => return write_out(|out| page::fault(out, &fault)).map(|()| false),
    };
    let mut as_expected = true;
    let stage = ending::Stage {
        folder: &scene.folder.0,
        key: &scene.verifier,
    };
    let acts = [
        ending::altered_copy(stage, receipt),
        ending::proved_receipt(stage, receipt),
    ];
    for (number, act) in (story::STEPS + 1..).zip(&acts) {
        as_expected &= act.fault.is_none();
        write_out(|out| page::act(out, number, act))?;
    }
    Ok(as_expected)
}

/// Flushes after each step, so that it shows at once; uses color only on a terminal.
fn write_out(page: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut out = AutoStream::auto(std::io::stdout().lock());
    page(&mut out)?;
    out.flush()
}

/// Waits for Ctrl-C or SIGTERM; returns at once if the signal handlers cannot be installed.
async fn wait_for_signal() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(test)]
mod tests;
