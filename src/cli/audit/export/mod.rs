//! `lychgate audit export`: writes deletions for other programs.

mod csv;
mod ocsf;

use std::io::Write;

use clap::ValueEnum;
use serde_json::Value;

use super::deletions::{Query, pick_in};
use super::trail::Reading;
use super::wanted::Wanted;
use crate::audit::read::query::Deletion;
use crate::cli::escape::json_line;
use crate::cli::exit::{Exit, Stop};

/// The arguments of `audit export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit export --config lychgate.toml --since 7d > week.jsonl
  lychgate audit export --dir audit --format csv --account 12345678 > account.csv
  lychgate audit export --dir audit --format ocsf --outcome unknown

jsonl has the objects of `audit list --json`. csv is RFC 4180 with the same fields; a cell that a
spreadsheet would take for a formula gets an apostrophe in front, and control characters are spelled out.
ocsf has events of the class User Management (3007), activity Delete, one for each user.")]
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

/// Exports deletions.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let mut log = trail.open()?;
    let query = Query {
        filter: arguments.wanted.filter(),
        limit: arguments.limit.map(|limit| limit as usize),
    };
    let origin = trail.origin(&log);
    if arguments.format == Format::Csv {
        out.write_all(csv::head().as_bytes())?;
    }
    let ended = pick_in(&trail, &mut log, &query, |deletion| {
        write(out, arguments.format, &deletion, origin.as_deref())
    });
    if !matches!(ended, Err(Stop::Output(_))) {
        out.flush()?;
    }
    ended?.tell(&trail);
    Ok(Exit::Fine)
}

fn write(
    out: &mut dyn Write,
    format: Format,
    deletion: &Deletion,
    origin: Option<&str>,
) -> Result<(), Stop> {
    let broken = |error| Stop::with(Exit::Internal, error);
    if format == Format::Jsonl {
        writeln!(out, "{}", json_line(deletion).map_err(broken)?)?;
        return Ok(());
    }
    let fields: Value = serde_json::to_value(deletion).map_err(broken)?;
    if format == Format::Csv {
        out.write_all(csv::line(&fields, origin).as_bytes())?;
        return Ok(());
    }
    for event in ocsf::events(&fields, origin) {
        writeln!(out, "{}", json_line(&event).map_err(broken)?)?;
    }
    Ok(())
}
