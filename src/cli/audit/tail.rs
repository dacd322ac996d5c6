//! `lychgate audit tail`: shows the newest deletions, and then new ones when a checkpoint covers
//! them.

use std::io::Write;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};

use super::deletions::tell_missing;
use super::rows::{Form, Rows};
use super::trail::{Reading, Trail};
use super::wanted::Wanted;
use crate::audit::read::query::{Filter, Follower};
use crate::audit::read::{Log, Missing};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// How often the trail is read.
const PACE: Duration = Duration::from_millis(500);
/// The trail counts as damaged after this many bad reads in a row, since files may change during a
/// read.
const MOST_DOUBTS: u32 = 10;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit tail --config lychgate.toml
  lychgate audit tail --dir audit --follow --json | jq .outcome
  lychgate audit tail --dir audit --follow --outcome unknown

Shows only entries that a checkpoint covers, so a loss of power cannot take them
back. The gateway makes a checkpoint within a second of an entry. With --follow,
the command reads the trail twice a second, also across restarts of the gateway,
and shows each deletion when it closes (again, if it was shown open), in the
order of closing. Ctrl-C ends it.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    form: Form,
    /// Continue with new deletions as they close
    #[arg(long, short)]
    follow: bool,
    /// Start with the newest N matching deletions
    #[arg(long, value_name = "N", default_value = "10")]
    limit: u32,
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let mut log = trail.published()?;
    let filter = arguments.wanted.filter();
    let mut rows = Rows::new(out, arguments.form);
    let exit = rows.list(&trail, &mut log, &filter, Some(arguments.limit))?;
    match arguments.follow {
        true => follow(&trail.unwatched(), &log, &filter, &mut rows, exit),
        false => Ok(exit),
    }
}

/// Shows the deletions that close after `log`, until a signal arrives or the output closes. Returns
/// `exit`, or the exit code of the last missing range.
fn follow(
    trail: &Trail,
    log: &Log,
    filter: &Filter,
    rows: &mut Rows<'_>,
    mut exit: Exit,
) -> Result<Exit, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::io(format!("cannot wait for signals: {error}")))?;
    let _entered = runtime.enter();
    let listen =
        |kind| signal(kind).map_err(|error| Stop::io(format!("cannot catch signals: {error}")));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut follower = Follower::new(log);
    let mut doubts = 0;
    loop {
        let is_stopped = runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = tokio::time::sleep(PACE) => false,
            }
        });
        if is_stopped || output_is_gone() {
            return Ok(exit);
        }
        match look(trail, &mut follower, filter, rows) {
            Ok(missing) => {
                doubts = 0;
                match tell_missing(missing) {
                    Exit::Fine => {}
                    other => exit = other,
                }
            }
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
) -> Result<Missing, Stop> {
    let log = trail.published()?;
    let missing = follower.advance(log, |deletion| match filter.admits(&deletion) {
        true => rows.write(&deletion),
        false => Ok(()),
    })?;
    rows.finish(&Ok(()))?;
    Ok(missing)
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
