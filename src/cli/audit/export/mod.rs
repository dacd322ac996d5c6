//! `lychgate audit export`: writes deletions for other programs.

mod csv;
mod ocsf;

use std::io::Write;

use clap::ValueEnum;

use super::deletions::pick;
use super::trail::Reading;
use super::wanted::Wanted;
use crate::audit::read::query::Deletion;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::print_json;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit export --config lychgate.toml --since 7d > week.jsonl
  lychgate audit export --dir audit --format csv --account 12345678 \\
    > account.csv
  lychgate audit export --dir audit --format ocsf --outcome unknown

jsonl has the objects of `audit list --json`. csv is RFC 4180 with the same
fields; a cell that a spreadsheet would take for a formula gets an apostrophe in
front, and control characters are spelled out. ocsf has events of the class User
Management (3007), activity Delete, one for each user.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    /// The output format
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Only the newest N matching deletions (written oldest first); default: all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
    Ocsf,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let mut log = trail.open()?;
    let filter = arguments.wanted.filter();
    let origin = trail.origin(&log);
    if arguments.format == Format::Csv {
        out.write_all(csv::head().as_bytes())?;
    }
    let ended = pick(&trail, &mut log, &filter, arguments.limit, |deletion| {
        write(out, arguments.format, &deletion, origin.as_deref())
    });
    if !matches!(ended, Err(Stop::Output(_))) {
        out.flush()?;
    }
    Ok(ended?.tell(&trail))
}

fn write(
    out: &mut dyn Write,
    format: Format,
    deletion: &Deletion,
    origin: Option<&str>,
) -> Result<(), Stop> {
    let fields = || serde_json::to_value(deletion).map_err(Stop::internal);
    match format {
        Format::Jsonl => print_json(out, deletion),
        Format::Csv => Ok(out.write_all(csv::line(&fields()?, origin).as_bytes())?),
        Format::Ocsf => ocsf::events(&fields()?, origin)
            .iter()
            .try_for_each(|event| print_json(out, event)),
    }
}
