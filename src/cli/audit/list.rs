//! `lychgate audit list`: one line a deletion.

use std::collections::VecDeque;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use super::source::Source;
use crate::audit::entry::Verdict;
use crate::audit::query::{Deletion, Ended, Filter, Joiner, Progress};
use crate::cli::escape::json_line;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;
use crate::cli::table::{Cell, Table};
use crate::clock::Time;

/// What `audit list` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit list --config lychgate.toml --limit 20
  lychgate audit list --dir audit --outcome unknown
  lychgate audit list --dir audit --user 4711 --json
  lychgate audit list --dir audit --since 2026-11-24T00:00:00Z --until 2026-11-25T00:00:00Z")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only the newest N of those wanted (shown oldest first); without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Only on this account
    #[arg(long)]
    account: Option<String>,
    /// Only those that name this user (a refused deletion keeps 20 names)
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only by this subject, client or issuer
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Only by this operation, such as users.delete
    #[arg(long)]
    operation: Option<String>,
    /// Only those that ended so
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// Only those refused with this code
    #[arg(long)]
    code: Option<String>,
    /// Only those asked at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    /// Only those asked before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Time>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Deleted,
    NotFound,
    Rejected,
    Failed,
    Unknown,
    Open,
    Refused,
}

/// Lists deletions.
///
/// # Errors
/// Where the trail cannot be read, or is damaged: what stands before the damage is shown.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let folder = arguments.source.folder()?;
    let filter = arguments.filter();
    let mut joiner = Joiner::default();
    let mut list = List::new(out, arguments);
    let take = |list: &mut List<'_>, deletion: Deletion| match filter.admits(&deletion) {
        true => list.take(deletion),
        false => Ok(()),
    };
    let ended = folder.entries(|index, entry, _| {
        joiner.push(index, entry);
        while let Some(deletion) = joiner.next_closed() {
            take(&mut list, deletion)?;
        }
        Ok(())
    });
    if let Err(Stop::Output(error)) = ended {
        return Err(Stop::Output(error));
    }
    let strays = joiner.strays();
    for deletion in joiner.rest() {
        take(&mut list, deletion)?;
    }
    list.finish()?;
    if strays > 0 {
        tell(format!(
            "{strays} outcomes close no open intent; see `lychgate audit verify`"
        ));
    }
    ended.map(|()| Exit::Fine)
}

impl Arguments {
    fn filter(&self) -> Filter {
        Filter {
            account: self.account.clone(),
            user: self.user.clone(),
            caller: self.caller.clone(),
            operation: self.operation.clone(),
            code: self.code.clone(),
            result: self.outcome.map(|outcome| match outcome {
                Outcome::Deleted => Ended::Closed(Verdict::Deleted),
                Outcome::NotFound => Ended::Closed(Verdict::NotFound),
                Outcome::Rejected => Ended::Closed(Verdict::Rejected),
                Outcome::Failed => Ended::Closed(Verdict::Failed),
                Outcome::Unknown => Ended::Closed(Verdict::Unknown),
                Outcome::Open => Ended::Open,
                Outcome::Refused => Ended::Refused,
            }),
            since: self.since,
            until: self.until,
        }
    }
}

/// Writes deletions as they come, or keeps the newest ones until the end.
struct List<'o> {
    out: &'o mut dyn Write,
    /// `None` for JSON.
    table: Option<Table<9>>,
    limit: Option<usize>,
    newest: VecDeque<Deletion>,
}

impl<'o> List<'o> {
    fn new(out: &'o mut dyn Write, arguments: &Arguments) -> Self {
        let titles = [
            "INDEX",
            "TIME",
            "OPERATION",
            "ACCOUNT",
            "USERS",
            "CALLER",
            "RESULT",
            "STATUS",
            "SENT",
        ];
        Self {
            out,
            table: (!arguments.json).then(|| Table::new(titles)),
            limit: arguments.limit.map(|limit| limit as usize),
            newest: VecDeque::new(),
        }
    }

    fn take(&mut self, deletion: Deletion) -> Result<(), Stop> {
        let Some(limit) = self.limit else {
            return self.write(&deletion);
        };
        if self.newest.len() == limit {
            self.newest.pop_front();
        }
        self.newest.push_back(deletion);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Stop> {
        for deletion in std::mem::take(&mut self.newest) {
            self.write(&deletion)?;
        }
        if let Some(table) = &mut self.table {
            table.flush(self.out)?;
        }
        Ok(())
    }

    fn write(&mut self, deletion: &Deletion) -> Result<(), Stop> {
        match &mut self.table {
            Some(table) => table.row(self.out, row(deletion))?,
            None => {
                let line = json_line(deletion).map_err(|e| Stop::with(Exit::Internal, e))?;
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }
}

fn row(deletion: &Deletion) -> [Cell; 9] {
    let index = deletion.index.to_string();
    let status = deletion
        .status
        .map_or("-".into(), |status| status.to_string());
    let sent = deletion.sent.map_or("-".into(), |sent| word(&sent));
    [
        Cell::from(index.as_str()),
        Cell::from(second(&deletion.time).as_str()),
        Cell::from(deletion.operation.as_str()),
        Cell::from(deletion.account.as_str()),
        Cell::from(some_users(&deletion.users).as_str()),
        Cell::from(deletion.caller.subject.as_str()),
        result(deletion),
        Cell::from(status.as_str()),
        Cell::from(sent.as_str()),
    ]
}

/// How it ended, in the colour of how much attention it wants.
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
            match deletion.reason {
                Some(reason) => Cell::new(&format!("{} {}", word(&verdict), word(&reason)), style),
                None => Cell::new(&word(&verdict), style),
            }
        }
    }
}

/// As it stands in the trail.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::from("-"),
    }
}

/// A time without its microseconds.
fn second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_owned(),
    }
}

fn some_users(users: &[String]) -> String {
    match users {
        [] => "-".into(),
        [user] => user.clone(),
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

fn time(text: &str) -> Result<Time, &'static str> {
    Time::parse(text).ok_or("not an RFC 3339 time, such as 2026-11-24T12:00:00Z")
}
