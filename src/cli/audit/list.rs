//! `lychgate audit list`: one line a deletion.

use std::io::Write;

use super::deletions::{Query, pick};
use super::rows::Rows;
use super::trail::Reading;
use super::wanted::Wanted;
use crate::cli::exit::{Exit, Stop};

/// What `audit list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit list --config lychgate.toml --limit 20
  lychgate audit list --dir audit --outcome unknown
  lychgate audit list --dir audit --user 4711 --since 7d --json
  lychgate audit list --dir audit --since 2026-11-24T00:00:00Z --until 2026-11-25T00:00:00Z

Which entries were searched, and under which checkpoint, stands on standard error. Where some cannot be
read or are damaged, what was found is shown, and the exit code is 1 or 74: none is never said over a hole.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only the newest N of those wanted (shown oldest first); without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    wanted: Wanted,
}

/// Lists deletions.
///
/// # Errors
/// If the trail cannot be read, or is damaged: what was found is shown.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let query = Query {
        filter: arguments.wanted.filter(),
        limit: arguments.limit.map(|limit| limit as usize),
    };
    let mut rows = Rows::new(out, arguments.json);
    let ended = pick(&trail, &query, |deletion| rows.write(&deletion));
    rows.finish(&ended)?;
    ended?.tell(&trail);
    Ok(Exit::Fine)
}
