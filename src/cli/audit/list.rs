//! `lychgate audit list`: one line per deletion.

use std::io::Write;

use super::rows::{Form, Rows};
use super::trail::Reading;
use super::wanted::Wanted;
use crate::cli::exit::{Exit, Stop};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit list --config lychgate.toml --limit 20
  lychgate audit list --dir audit --outcome unknown
  lychgate audit list --dir audit --user 4711 --since 7d --json
  lychgate audit list --dir audit --since 2026-11-24T00:00:00Z \\
    --until 2026-11-25T00:00:00Z

The command reports on standard error which entries it searched and which
checkpoint covers them. If some entries are damaged or cannot be read, it shows
the deletions that it found and exits with 1 or 74. So an empty answer with exit
code 0 means that no deletion matches.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    form: Form,
    /// Only the newest N matching deletions (shown oldest first); default: all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    wanted: Wanted,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let mut log = trail.open()?;
    let filter = arguments.wanted.filter();
    let mut rows = Rows::new(out, arguments.form);
    rows.list(&trail, &mut log, &filter, arguments.limit)
}
