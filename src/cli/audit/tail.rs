//! `lychgate audit tail`: shows the newest deletions, and then new ones when a checkpoint covers
//! them.

mod follow;

use std::io::Write;

use super::deletions::{Query, pick_in};
use super::rows::Rows;
use super::trail::Reading;
use super::wanted::Wanted;
use crate::cli::exit::{Exit, Stop};

/// The arguments of `audit tail`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit tail --config lychgate.toml
  lychgate audit tail --dir audit --follow --json | jq .outcome
  lychgate audit tail --dir audit --follow --outcome unknown

Shows only entries that a checkpoint covers, so a loss of power cannot take them back. The gateway makes a
checkpoint within a second of an entry. With --follow, the command reads the trail twice a second, also across
restarts of the gateway, and shows each deletion when it closes (again, if it was shown open), in the order of
closing. Ctrl-C ends it.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Continue with new deletions as they close
    #[arg(long, short)]
    follow: bool,
    /// Start with the newest N matching deletions
    #[arg(long, value_name = "N", default_value = "10")]
    limit: u32,
    #[command(flatten)]
    wanted: Wanted,
}

/// Shows the newest deletions.
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
