//! `lychgate audit …`: read the trail, write to it, make its key. Readers take no lock and may run beside a
//! gateway. `reconcile` asks the gateway that holds the trail, or takes the lock if none does; `accept-loss`
//! takes the lock.

mod accept_loss;
mod deletions;
mod export;
mod keygen;
mod list;
mod progress;
mod prove;
mod reach;
mod receipt_report;
mod reconcile;
mod remote;
mod report;
mod rows;
mod show;
mod source;
mod tail;
mod trail;
mod unresolved;
mod verify;
mod wanted;

use std::io::Write;

use clap::{Args, Subcommand};

use super::exit::{Exit, Stop};

/// What `audit` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key
  lychgate audit list --config lychgate.toml --user 4711
  lychgate audit show --dir http://127.0.0.1:9080 lychgate.example.com/edge-1/42
  lychgate audit verify --dir audit --key \"$(cat verifier.txt)\" --against kept.checkpoint")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// The deletions, oldest first, each joined with how it ended
    List(list::Arguments),
    /// One deletion's entries in full, with their leaf hashes
    Show(show::Arguments),
    /// The newest deletions, and with --follow new ones as they come
    Tail(tail::Arguments),
    /// The deletions for other programs: JSON lines, CSV, or OCSF events
    Export(export::Arguments),
    /// Is the trail whole, unaltered and consistent? Or: does it bear out a receipt?
    Verify(verify::Arguments),
    /// The deletions that may or may not have happened, and were not read back
    Unresolved(unresolved::Arguments),
    /// Settle unresolved deletions: read their users back, and put on record what is found
    Reconcile(reconcile::Arguments),
    /// A proof of an entry, with the entry in it, that verifies offline
    Prove(prove::Arguments),
    /// Abandon a log that cannot go on, with the gateway stopped, and begin one of another name
    AcceptLoss(accept_loss::Arguments),
    /// Make a signing key for a trail; print its verifier key
    Keygen(keygen::Arguments),
}

/// Runs the verb.
///
/// # Errors
/// What kept it from its work.
pub(super) fn run(out: &mut dyn Write, arguments: Arguments) -> Result<Exit, Stop> {
    match arguments.verb {
        Verb::List(arguments) => list::run(out, &arguments),
        Verb::Show(arguments) => show::run(out, &arguments),
        Verb::Tail(arguments) => tail::run(out, &arguments),
        Verb::Export(arguments) => export::run(out, &arguments),
        Verb::Verify(arguments) => verify::run(out, &arguments),
        Verb::Unresolved(arguments) => unresolved::run(out, &arguments),
        Verb::Reconcile(arguments) => reconcile::run(out, &arguments),
        Verb::Prove(arguments) => prove::run(out, &arguments),
        Verb::AcceptLoss(arguments) => accept_loss::run(out, &arguments),
        Verb::Keygen(arguments) => keygen::run(out, &arguments),
    }
}

#[cfg(test)]
mod tests;
