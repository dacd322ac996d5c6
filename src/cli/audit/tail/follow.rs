//! Looks at a trail again and again, and shows the deletions that were closed meanwhile.

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

/// How often the trail is looked at.
const PACE: Duration = Duration::from_millis(500);
/// So often in a row it may look damaged: its files change while they are read.
const MOST_DOUBTS: u32 = 10;

/// Shows what comes after `log`, until a signal or the end of the output.
///
/// # Errors
/// Where the log is damaged, rolled back or another one.
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
            Err(Stop::Told(exit, why)) => {
                doubts += 1;
                if exit != Exit::Io && doubts >= MOST_DOUBTS {
                    return Err(Stop::Told(exit, why));
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

/// Whether whoever read standard output has gone away, which a writer would else notice at the next line.
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
