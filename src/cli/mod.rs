//! The commands, one file a verb.
//!
//! Results go to standard output and messages to standard error; [`Exit`] says what each exit code
//! means. This file holds the command line's shape, and hands each verb its arguments.

mod audit;
mod check;
#[cfg(feature = "demo")]
pub mod demo;
mod escape;
mod exit;
mod output;
mod panic;
pub mod run;
mod table;
pub mod token;

pub use exit::{Exit, Stop};

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An authenticating reverse proxy that records every deletion before it happens
#[derive(Debug, Parser)]
#[command(name = "lychgate", version, arg_required_else_help = true)]
#[command(after_help = "Examples:
  lychgate demo
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key
  lychgate check --config lychgate.toml
  lychgate run --config lychgate.toml
  lychgate audit verify --config lychgate.toml

Exit codes: 0 fine, 1 the answer is no, 2 usage, 70 a defect, 74 input or output, 78 config")]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve; SIGHUP reloads the config, SIGTERM drains and stops
    #[command(after_help = "Examples:
  lychgate run --config lychgate.toml
  kill -HUP PID     reload the config; a wrong one changes nothing
  kill -TERM PID    take no more, finish what is in flight, stop")]
    Run {
        /// The config file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Validate a config; tell all that is wrong with it at once
    Check(check::Arguments),
    /// The gateway in front of a built-in users endpoint: a small story, then commands to paste
    #[cfg(feature = "demo")]
    #[command(after_help = "Examples:
  lychgate demo           tell the story, then serve until Ctrl-C
  lychgate demo --once    stop after the story; exit 0 only if all went as told")]
    Demo {
        /// Stop after the story
        #[arg(long)]
        once: bool,
    },
    /// Read the audit trail; make its key
    Audit(audit::Arguments),
    /// Sign a token for demos and tests
    Token(token::Arguments),
}

/// Parses the command line, runs the verb, gives its exit code.
pub fn main() -> ExitCode {
    // Chosen here once, so that no other crate's features decide which library checks tokens.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    panic::contain(|| match CommandLine::try_parse() {
        Ok(line) => dispatch(line.verb),
        Err(error) => refuse(&error),
    })
}

fn dispatch(verb: Verb) -> ExitCode {
    match verb {
        Verb::Run { config } => run::run(&config),
        Verb::Check(arguments) => output::with_output(|out| check::run(out, &arguments)),
        #[cfg(feature = "demo")]
        Verb::Demo { once } => demo::run(once),
        Verb::Audit(arguments) => output::with_output(|out| audit::run(out, arguments)),
        Verb::Token(arguments) => token::run(arguments),
    }
}

/// Help and version are answers; all else is a usage error.
fn refuse(error: &clap::Error) -> ExitCode {
    // Where the terminal is gone, nobody is left to be told.
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
