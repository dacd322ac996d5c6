//! `lychgate demo`: the real gateway in front of the simulator, and a small story of six calls.
//!
//! [`scene`] sets all of it up in a temporary folder, [`story`] makes the calls and compares what came
//! of each with what should, [`call`] sends one, [`ending`] shows what the trail is good for, [`page`]
//! shows all. With `--once` it ends after the story, and the exit code says whether all went as told.

mod call;
mod ending;
mod page;
mod scene;
mod story;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anstream::AutoStream;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::output::tell;
use crate::audit::Receipt;
use scene::Scene;

/// The gateway of the demo needs no more.
const WORKERS: usize = 2;
/// Tasks that do not end by themselves are left behind after this.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// Tells the story; without `once`, then serves until Ctrl-C.
#[must_use]
pub fn run(once: bool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(perform(once));
            runtime.shutdown_timeout(SHUTDOWN);
            exit
        }
        Err(error) => {
            tell(format!("cannot start threads: {error}"));
            Exit::Io
        }
    };
    exit.into()
}

async fn perform(once: bool) -> Exit {
    let scene = match Scene::set().await {
        Ok(scene) => scene,
        Err(error) => {
            tell(format!("the demo cannot be set up: {error}"));
            return Exit::Io;
        }
    };
    let told = tell_story(&scene, once).await;
    if !once && told.is_ok() {
        wait_for_the_end().await;
    }
    scene.strike().await;
    match told {
        Ok(true) => Exit::Fine,
        Ok(false) => Exit::No,
        // `lychgate demo | head` has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Fine,
        Err(error) => {
            tell(format!("cannot write the story: {error}"));
            Exit::Io
        }
    }
}

/// Whether all went as told.
async fn tell_story(scene: &Scene, once: bool) -> std::io::Result<bool> {
    let mut as_told = true;
    let mut entries = 0;
    let mut receipts = Vec::new();
    write_out(|out| page::opening(out, scene))?;
    for (number, step) in story::steps(scene).iter().enumerate() {
        let happened = story::play(scene, step).await;
        let faults = story::faults(step, &happened);
        as_told &= faults.is_empty();
        write_out(|out| page::step(out, number + 1, step, &happened, &faults))?;
        if let Some(entry) = &happened.entry {
            entries = entry.closing_index.unwrap_or(entry.index) + 1;
        }
        receipts.extend(happened.answer.ok().as_ref().and_then(ending::receipt));
    }
    as_told &= tell_ending(scene, entries, receipts.first()).await?;
    let verified = scene.verify();
    as_told &= verified.is_ok();
    write_out(|out| {
        page::verdict(out, &verified)?;
        if once {
            return Ok(());
        }
        page::to_paste(out, scene)
    })?;
    Ok(as_told)
}

/// What a checkpoint and a receipt are good for, once all entries are under a checkpoint.
async fn tell_ending(
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
    let mut as_told = true;
    let stage = scene.stage();
    let acts = [
        ending::altered_copy(stage, receipt),
        ending::proved_receipt(stage, receipt),
    ];
    for (number, act) in (story::STEPS + 1..).zip(&acts) {
        as_told &= act.fault.is_none();
        write_out(|out| page::act(out, number, act))?;
    }
    Ok(as_told)
}

/// Writes at once, so that each step is seen when it happens; colour only on a terminal.
fn write_out(page: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> std::io::Result<()> {
    let mut out = AutoStream::auto(std::io::stdout().lock());
    page(&mut out)?;
    out.flush()
}

/// Until Ctrl-C or SIGTERM; where signals cannot be taken, it ends at once.
async fn wait_for_the_end() {
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
