//! Reads a trail again and again, and shows the deletions that closed in the meantime.

use std::future::Future;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};

use super::super::rows::Rows;
use super::super::trail::Trail;
use crate::audit::read::Log;
use crate::audit::read::query::{Filter, Follower};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// How often the trail is read.
const PACE: Duration = Duration::from_millis(500);
/// The trail counts as damaged after this many bad reads in a row, since files may change during a
/// read.
const MOST_DOUBTS: u32 = 10;

/// Shows the deletions that close after `log`, until a signal arrives or the output closes.
pub(super) fn follow(
    trail: &Trail,
    log: &Log,
    filter: &Filter,
    rows: &mut Rows<'_>,
) -> Result<(), Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::with(Exit::Io, format!("cannot wait for signals: {error}")))?;
    let mut stopped = {
        let _entered = runtime.enter();
        Box::pin(stopped()?)
    };
    let mut follower = Follower::new(log);
    let mut doubts = 0;
    loop {
        let is_stopped = runtime.block_on(async {
            tokio::select! {
                () = &mut stopped => true,
                () = tokio::time::sleep(PACE) => false,
            }
        });
        if is_stopped || output_is_gone() {
            return Ok(());
        }
        match look(trail, &mut follower, filter, rows) {
            Ok(()) => doubts = 0,
            Err(Stop::Message(exit, why)) => {
                doubts += 1;
                if exit != Exit::Io && doubts >= MOST_DOUBTS {
                    return Err(Stop::Message(exit, why));
                }
                if doubts == 1 && exit == Exit::Io {
                    tell(format!("{why}; trying again"));
                }
            }
            Err(other) => return Err(other),
        }
    }
}

fn look(
    trail: &Trail,
    follower: &mut Follower,
    filter: &Filter,
    rows: &mut Rows<'_>,
) -> Result<(), Stop> {
    let log = trail.published()?;
    follower.advance(log, |deletion| match filter.admits(&deletion) {
        true => rows.write(&deletion),
        false => Ok(()),
    })?;
    rows.finish(&Ok(()))
}

fn stopped() -> Result<impl Future<Output = ()>, Stop> {
    let listen = |kind| {
        signal(kind).map_err(|error| Stop::with(Exit::Io, format!("cannot catch signals: {error}")))
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Whether the reader of standard output is gone. A write would notice that only at the next line.
fn output_is_gone() -> bool {
    let out = std::io::stdout();
    let mut polled = [PollFd::new(&out, PollFlags::empty())];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
        && polled
            .iter()
            .any(|fd| fd.revents().intersects(PollFlags::ERR | PollFlags::HUP))
}
