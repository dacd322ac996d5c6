//! `lychgate audit …`: reads the trail, writes to it, creates its key. Readers take no lock and may
//! run beside a gateway. `reconcile` asks the gateway that holds the trail, or takes the lock if
//! none does; `accept-loss` takes the lock.

mod accept_loss;
mod deletions;
mod export;
mod fields;
mod in_words;
mod key;
mod keygen;
mod list;
mod progress;
mod prove;
mod reach;
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

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key
  lychgate audit list --config lychgate.toml --user 4711
  lychgate audit show --dir audit lychgate.example.com/edge-1/42
  lychgate audit list --dir http://127.0.0.1:9080 --key verifier.txt
  lychgate audit verify --dir audit --key verifier.txt --against kept.checkpoint")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List deletions, oldest first, each with its outcome
    List(list::Arguments),
    /// Show all entries of one deletion in full, with their leaf hashes
    #[command(override_usage = "\
lychgate audit show [OPTIONS]
         <--dir <DIR|ADDRESS>|--config <FILE>> <INDEX|RECEIPT|REQUEST_ID>")]
    Show(show::Arguments),
    /// Show the newest deletions, and with --follow new ones as they close
    Tail(tail::Arguments),
    /// Export deletions for other programs: JSON lines, CSV, or OCSF events
    Export(export::Arguments),
    /// Check that the trail is complete, unaltered and consistent, and that it bears out a receipt
    Verify(verify::Arguments),
    /// List deletions that may or may not have happened and were not read back
    Unresolved(unresolved::Arguments),
    /// Settle unresolved deletions: read their users back and record the results
    Reconcile(reconcile::Arguments),
    /// Make a proof of a deletion, with its entries in it, that verifies offline
    #[command(override_usage = "\
lychgate audit prove [OPTIONS]
         <--dir <DIR|ADDRESS>|--config <FILE>> <INDEX|RECEIPT|REQUEST_ID>")]
    Prove(prove::Arguments),
    /// Abandon a log that cannot continue, with the gateway stopped, and start one with another
    /// name
    AcceptLoss(accept_loss::Arguments),
    /// Create a signing key for a trail and print its verifier key
    Keygen(keygen::Arguments),
}

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
