//! `lychgate audit unresolved`: lists deletions that may or may not have happened and were not read
//! back.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::deletions::Covered;
use super::rows::{CALLER, Form, RESULT, TIME, USERS, second, some_users, word};
use super::trail::Reading;
use crate::audit::read::query::{Deletion, InDoubt, Pending, Progress, Searched, in_doubt};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::print_json;
use crate::cli::table::{Cell, Fit, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit unresolved --config lychgate.toml
  lychgate audit unresolved --dir audit --json

A deletion is unresolved if its outcome is `unknown`, or `failed` after
something was sent, and its users were not read back; `lychgate audit reconcile`
reads them back. A deletion in flight is open, not unresolved, and so is one
whose gateway was killed and has not started again: see `lychgate audit list
--outcome open`. With --json, each object has the fields of `lychgate audit list
--json`.")]
pub(super) struct Arguments {
    #[command(flatten)]
    reading: Reading,
    #[command(flatten)]
    form: Form,
}

/// Lists unresolved deletions, oldest first.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let log = trail.open()?;
    let InDoubt { all, end, missing } = in_doubt(|| trail.open())?;
    let unresolved = all
        .iter()
        .filter(|pending| pending.deletion.reconciled.is_none());
    if arguments.form.json {
        for pending in unresolved {
            print_json(out, &pending.deletion)?;
        }
    } else {
        print(out, unresolved, arguments.form.wide)?;
    }
    out.flush()?;
    let range = 0..end;
    Ok(Covered::new(Searched { range, missing }, &log).tell(&trail))
}

fn print<'p>(
    out: &mut dyn Write,
    unresolved: impl Iterator<Item = &'p Pending>,
    is_wide: bool,
) -> Result<(), Stop> {
    let columns = [
        ("INDEX", Fit::Whole),
        ("CLOSED", TIME),
        ("ACCOUNT", Fit::Wide),
        ("USERS", USERS),
        ("CALLER", CALLER),
        ("OUTCOME", RESULT),
        ("STATUS", Fit::Wide),
        ("DOMAIN", Fit::Wide),
    ];
    let mut table = Table::new(columns, is_wide);
    for Pending { deletion, closed } in unresolved {
        let row = [
            Cell::plain(deletion.index),
            Cell::plain(second(&closed.to_string())),
            Cell::plain(&deletion.account),
            some_users(&deletion.users),
            Cell::plain(&deletion.caller.subject),
            outcome(deletion),
            Cell::or_dash(deletion.status),
            Cell::or_dash(deletion.domain.as_ref()),
        ];
        table.row(out, row)?;
    }
    table.flush(out)?;
    Ok(())
}

fn outcome(deletion: &Deletion) -> Cell {
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let Progress::Closed(verdict) = deletion.outcome else {
        return Cell::plain('-');
    };
    match deletion.reason {
        Some(reason) => Cell::new(&format!("{} {}", word(&verdict), word(&reason)), red),
        None => Cell::new(&word(&verdict), red),
    }
}
