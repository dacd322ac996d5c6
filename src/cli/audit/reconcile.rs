//! `lychgate audit reconcile`: reads back the users of unresolved deletions and records the
//! results.

use std::io::Write;
use std::path::Path;

use super::reach::{block_on, reach, stop};
use super::rows::word;
use super::source::Source;
use crate::audit::entry::Actor;
use crate::cli::check;
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::{print_json, tell};
use crate::cli::table::{Cell, Fit, Table};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::protocol::{Reconcile, Reconciled, Settled, check_reason};
use crate::control::{Answer, Request};
use crate::gateway::reconciler;
use crate::reconcile::token;

#[derive(Debug, clap::Args)]
#[command(override_usage = "\
lychgate audit reconcile [OPTIONS] --reason <TEXT>
         <--dir <DIR|ADDRESS>|--config <FILE>> [INDEX|REQUEST_ID]...")]
#[command(after_help = "Examples:
  lychgate audit reconcile --config lychgate.toml --reason 'monthly review'
  lychgate audit reconcile 42 --config lychgate.toml --now \\
    --reason 'asked by the customer'

Each user is read twice, one second apart, from the host that the deletion was
sent to, with the gateway's own token for upstream. 404 or `deleted: true` means
`deleted` (the user is absent now, by anyone's doing), 200 means `still_there`;
any other answer, or two reads that differ, mean `cannot_tell`. A batch gets the
worst result of its users. If a read gets no answer, or 401 for the token,
nothing is recorded, and the deletion stays unresolved. If a gateway is running,
it does the work; otherwise the command does, with --config.")]
pub(super) struct Arguments {
    /// Only these deletions, even if they were read back before; default: all unresolved ones
    #[arg(value_name = "INDEX|REQUEST_ID")]
    deletions: Vec<String>,
    #[command(flatten)]
    source: Source,
    /// The reason; it goes into the trail
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// Also deletions that closed less than five minutes ago and that upstream may still carry out
    #[arg(long)]
    now: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Reconciles. The exit code is 1 if a selected deletion got no result.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let folder = arguments.source.folder()?;
    let settled = block_on(settle(arguments, &folder.directory))?;
    if settled.is_empty() {
        tell("no deletion is unresolved");
    }
    print(out, arguments.json, &settled)?;
    let all_done = settled.iter().all(|one| one.result.is_some());
    Ok(if all_done { Exit::Fine } else { Exit::No })
}

/// Sends as many requests as needed. The results of one are durable before the next is sent.
async fn settle(arguments: &Arguments, directory: &Path) -> Result<Vec<Settled>, Stop> {
    let mut settled: Vec<Settled> = Vec::new();
    loop {
        let request = Reconcile {
            reason: arguments.reason.clone(),
            now: arguments.now,
            deletions: arguments.deletions.clone(),
            after: settled.last().map(|last| last.index),
        };
        let done = ask(arguments, directory, request).await?;
        let more = done.left > 0 && !done.deletions.is_empty();
        settled.extend(done.deletions);
        if !more {
            return Ok(settled);
        }
    }
}

async fn ask(
    arguments: &Arguments,
    directory: &Path,
    request: Reconcile,
) -> Result<Reconciled, Stop> {
    let asked = Request::Reconcile(request.clone());
    let answer = reach(
        directory,
        &asked,
        || offline(arguments),
        async |config, trail| {
            let reconciler = reconciler(config, trail, &Clock::system()).map_err(Stop::io)?;
            let actor = Actor {
                uid: rustix::process::geteuid().as_raw(),
            };
            Ok(reconciler.answer(actor, request).await)
        },
    );
    match answer.await? {
        Answer::Reconciled(done) => Ok(done),
        Answer::Refused { exit, message } => Err(stop(exit, message)),
    }
}

/// The config for a command that reads users back itself; it must name credentials.
fn offline(arguments: &Arguments) -> Result<Config, Stop> {
    let Some(path) = &arguments.source.config else {
        let message = "no gateway holds this trail: give --config, so that the command can read users back itself";
        return Err(Stop::usage(message));
    };
    let config = check::load(path)?;
    if config.reconcile_token_file().is_none() {
        return Err(Stop::usage(token::MISSING));
    }
    Ok(config)
}

fn print(out: &mut dyn Write, json: bool, settled: &[Settled]) -> Result<(), Stop> {
    if json {
        for one in settled {
            print_json(out, one)?;
        }
    } else if !settled.is_empty() {
        print_table(out, settled)?;
    }
    settled.iter().filter_map(Settled::note).for_each(tell);
    Ok(())
}

fn print_table(out: &mut dyn Write, settled: &[Settled]) -> Result<(), Stop> {
    let columns = [
        ("INDEX", Fit::Whole),
        ("REQUEST", Fit::Cut(8)),
        ("USER COUNT", Fit::Whole),
        ("RESULT", Fit::Whole),
        ("ENTRY", Fit::Whole),
    ];
    let mut table = Table::new(columns, false);
    for one in settled {
        let row = [
            Cell::plain(one.index),
            Cell::plain(&one.request_id),
            Cell::plain(one.users),
            Cell::or_dash(one.result.as_ref().map(word)),
            Cell::or_dash(one.entry),
        ];
        table.row(out, row)?;
    }
    table.flush(out)?;
    Ok(())
}

pub(super) fn reason(text: &str) -> Result<String, &'static str> {
    check_reason(text).map(|()| text.to_owned())
}
