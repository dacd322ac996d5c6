//! `lychgate audit tail`: the newest deletions, and then new ones as a checkpoint covers them.

mod follow;

use std::io::Write;

use super::deletions::{Query, pick_in};
use super::rows::Rows;
use super::trail::Reading;
use super::wanted::Wanted;
use crate::cli::exit::{Exit, Stop};

/// What `audit tail` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit tail --config lychgate.toml
  lychgate audit tail --dir audit --follow --json | jq .outcome
  lychgate audit tail --dir audit --follow --outcome unknown

Shows what a checkpoint covers, which a gateway makes within a second of an entry: so nothing is shown that
a loss of power could still take back. With --follow the trail is looked at twice a second, through restarts
of the gateway; a deletion is shown once it is closed (one that was shown open is shown again then), in the
order of closing. Ctrl-C ends it.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Go on with new ones as they come
    #[arg(long, short)]
    follow: bool,
    /// Begin with the newest N of those wanted
    #[arg(long, value_name = "N", default_value = "10")]
    limit: u32,
    #[command(flatten)]
    wanted: Wanted,
}

/// Shows the newest deletions.
///
/// # Errors
/// Where the trail cannot be read, or is damaged.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let mut log = trail.published()?;
    let query = Query {
        filter: arguments.wanted.filter(),
        limit: Some(arguments.limit as usize),
    };
    let mut rows = Rows::new(out, arguments.json);
    let ended = pick_in(&trail, &mut log, &query, |deletion| rows.write(&deletion));
    rows.finish(&ended)?;
    ended?.tell(&trail);
    if arguments.follow {
        follow::follow(&trail, &log, &query.filter, &mut rows)?;
    }
    Ok(Exit::Fine)
}
