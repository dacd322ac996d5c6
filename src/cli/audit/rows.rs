//! Prints deletions as a table, or as one JSON object per line.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::deletions::pick;
use super::trail::Trail;
use crate::audit::entry::Verdict;
use crate::audit::read::Log;
use crate::audit::read::query::{Deletion, Filter, Progress};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::print_json;
use crate::cli::table::{Cell, Fit, Table};

/// A time has 20 characters, so it is never cut. The numbers leave room for every index.
pub(super) const TIME: Fit = Fit::Cut(20);
pub(super) const USERS: Fit = Fit::Cut(10);
pub(super) const CALLER: Fit = Fit::Cut(8);
pub(super) const RESULT: Fit = Fit::Cut(14);

const COLUMNS: [(&str, Fit); 9] = [
    ("INDEX", Fit::Whole),
    ("TIME", TIME),
    ("OPERATION", Fit::Wide),
    ("ACCOUNT", Fit::Wide),
    ("USERS", USERS),
    ("CALLER", CALLER),
    ("RESULT", RESULT),
    ("STATUS", Fit::Wide),
    ("SENT", Fit::Wide),
];

/// The options for the form of the answer.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Form {
    /// Print one JSON object per line
    #[arg(long)]
    pub(super) json: bool,
    /// Print all columns; without it, a line has at most 80 characters
    #[arg(long, conflicts_with = "json")]
    pub(super) wide: bool,
}

/// Writes deletions one by one.
pub(super) struct Rows<'o> {
    out: &'o mut dyn Write,
    /// `None` for JSON.
    table: Option<Table<9>>,
    found: bool,
}

impl<'o> Rows<'o> {
    pub(super) fn new(out: &'o mut dyn Write, form: Form) -> Self {
        Self {
            out,
            table: (!form.json).then(|| Table::new(COLUMNS, form.wide)),
            found: false,
        }
    }

    /// Writes the matching deletions, then reports which entries the answer covers.
    pub(super) fn list(
        &mut self,
        trail: &Trail,
        log: &mut Log,
        filter: &Filter,
        limit: Option<u32>,
    ) -> Result<Exit, Stop> {
        let ended = pick(trail, log, filter, limit, |deletion| self.write(&deletion));
        self.finish(&ended)?;
        Ok(ended?.tell(trail))
    }

    pub(super) fn write(&mut self, deletion: &Deletion) -> Result<(), Stop> {
        self.found = true;
        match &mut self.table {
            Some(table) => Ok(table.row(self.out, row(deletion))?),
            None => print_json(self.out, deletion),
        }
    }

    /// Writes the rows that are held back to align the columns. Writes no header if the search
    /// failed without a result, since a bare header would mean that there is none.
    pub(super) fn finish<T>(&mut self, ended: &Result<T, Stop>) -> Result<(), Stop> {
        if matches!(ended, Err(Stop::Output(_))) || (ended.is_err() && !self.found) {
            return Ok(());
        }
        if let Some(table) = &mut self.table {
            table.flush(self.out)?;
        }
        self.out.flush()?;
        Ok(())
    }
}

fn row(deletion: &Deletion) -> [Cell; 9] {
    [
        Cell::plain(deletion.index),
        Cell::plain(second(&deletion.time)),
        Cell::plain(&deletion.operation),
        Cell::plain(&deletion.account),
        some_users(&deletion.users),
        Cell::plain(&deletion.caller.subject),
        result(deletion),
        Cell::or_dash(deletion.status),
        Cell::or_dash(deletion.sent.as_ref().map(word)),
    ]
}

/// The outcome; the color shows how much attention it needs.
fn result(deletion: &Deletion) -> Cell {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match deletion.outcome {
        Progress::Open => Cell::new("open", colour(AnsiColor::Cyan)),
        Progress::Refused => {
            let code = deletion.code.as_deref().unwrap_or("-");
            Cell::new(&format!("refused {code}"), colour(AnsiColor::Yellow))
        }
        Progress::Closed(verdict) => {
            let style = match verdict {
                Verdict::Deleted => colour(AnsiColor::Green),
                Verdict::Unknown | Verdict::Failed => colour(AnsiColor::Red),
                Verdict::NotFound | Verdict::Rejected => Style::new(),
            };
            let reason = deletion.reason.map(|reason| format!(" {}", word(&reason)));
            let found = deletion.reconciled.map(|found| word(&found.result));
            // An outcome is never rewritten, so the result of reading back follows it.
            let found = found.map(|found| format!(", now {found}"));
            let (reason, found) = (reason.unwrap_or_default(), found.unwrap_or_default());
            Cell::new(&format!("{}{reason}{found}", word(&verdict)), style)
        }
    }
}

/// The value's name in the trail.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::from("-"),
    }
}

/// A time without its fraction of a second.
pub(super) fn second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_owned(),
    }
}

/// The first user, and the number of the others.
pub(super) fn some_users(users: &[String]) -> Cell {
    let first = Cell::or_dash(users.first());
    match users.len() {
        0 | 1 => first,
        count => first.ending(format!(" +{}", count - 1)),
    }
}
