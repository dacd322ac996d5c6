//! The commands, one file each.
//!
//! Results go to standard output and messages to standard error; [`Exit`] lists the exit codes.
//! This file defines the command line and dispatches to the commands.

mod audit;
mod check;
#[cfg(feature = "demo")]
mod demo;
mod escape;
mod exit;
mod output;
mod panic;
mod run;
mod table;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use exit::Exit;

/// An authenticating reverse proxy that records every deletion before it happens
#[derive(Debug, Parser)]
#[command(name = "lychgate", version, arg_required_else_help = true)]
// A fixed width: the terminal's own could break an example within a line.
#[command(term_width = output::COLUMNS)]
#[command(after_help = "Examples:
  lychgate demo
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key
  lychgate check --config lychgate.toml
  lychgate run --config lychgate.toml
  lychgate audit verify --config lychgate.toml

Exit codes: 0 fine, 1 the answer is no, 2 usage, 70 a defect, 74 input or
output, 78 config")]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve; SIGHUP reloads the config, SIGTERM drains and stops
    #[command(after_help = "Examples:
  lychgate run --config lychgate.toml

SIGHUP reloads the config; an invalid one changes nothing. SIGTERM and SIGINT
refuse new requests, finish those in flight, and stop.")]
    Run {
        /// The config file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Check a config and list all its problems
    Check(check::Arguments),
    /// Run the gateway in front of a built-in Users API: a short demo, then commands to paste
    #[cfg(feature = "demo")]
    Demo(demo::Arguments),
    /// Read and verify the audit trail, settle its deletions, create its key
    Audit(audit::Arguments),
    /// Sign a token for demos and tests
    Token(token::Arguments),
}

/// Parses the command line, runs the command and returns its exit code.
pub fn main() -> ExitCode {
    // Install the provider here, once. Otherwise, the features of other crates would decide which
    // library verifies tokens.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    panic::contain(|| match CommandLine::try_parse() {
        Ok(line) => dispatch(line.verb),
        Err(error) => refuse(&error),
    })
}

fn dispatch(verb: Verb) -> ExitCode {
    match verb {
        Verb::Run { config } => output::end(run::run(&config)).into(),
        Verb::Check(arguments) => output::with_output(|out| check::run(out, &arguments)),
        #[cfg(feature = "demo")]
        Verb::Demo(arguments) => output::end(demo::run(&arguments)).into(),
        Verb::Audit(arguments) => output::with_output(|out| audit::run(out, arguments)),
        Verb::Token(arguments) => output::with_output(|out| token::run(out, arguments)),
    }
}

/// Prints what clap returns instead of a command. Help and version go to standard output with exit
/// code 0; everything else is a usage error.
fn refuse(error: &clap::Error) -> ExitCode {
    // If the output is closed, there is nowhere to report the error.
    let _ = error.print();
    let exit = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Fine
    };
    exit.into()
}

#[cfg(test)]
mod tests;
