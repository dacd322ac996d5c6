//! `lychgate check`: says whether `run` would accept this config, and whether the gateway could
//! serve on this machine.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use super::escape::escape;
use super::exit::{Exit, Stop};
use super::output::{fold, print_json};
use crate::config::{Config, Problems};
use crate::gateway::machine;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate check --config lychgate.toml
  lychgate check --config lychgate.toml --static
  lychgate check --config lychgate.toml --online --json
  lychgate check --config lychgate.toml && systemctl reload lychgate

Run it as the gateway's user, because it tries what `run` needs: the audit
folder, its lock and its key, the files that the config names, ports,
descriptors, free space. It creates and changes nothing. Such findings are
marked `on this machine`. A lock or a port of the gateway that already runs
with this config is a note. Exit code 78 if there is an error, 74 if the
config cannot be read.")]
pub(super) struct Arguments {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Leave out what depends on this machine, for CI
    #[arg(long = "static", conflicts_with = "online")]
    is_static: bool,
    /// Also fetch the issuers' keys
    #[arg(long)]
    online: bool,
    /// Print one JSON object per finding
    #[arg(long)]
    json: bool,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let loaded = match arguments.is_static {
        true => Config::load_static(&arguments.config),
        false => Config::load(&arguments.config),
    };
    let (config, problems) = match loaded {
        Ok(config) => {
            let problems = look(&config, arguments)?;
            (Some(config), problems)
        }
        Err(problems) => (None, problems),
    };
    if arguments.json {
        for finding in &problems.findings {
            print_json(out, finding)?;
        }
        return Ok(exit(&problems));
    }
    match config {
        Some(config) if problems.count == 0 => fine(out, &config, &problems)?,
        _ => return Err(stop(problems)),
    }
    Ok(Exit::Fine)
}

/// Checks whether the gateway could serve on this machine. Returns the problems.
fn look(config: &Config, arguments: &Arguments) -> Result<Problems, Stop> {
    if arguments.is_static {
        return Ok(Problems::default());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Stop::io(format!("cannot start: {error}")))?;
    let found = runtime.block_on(machine::findings(config, arguments.online));
    Ok(config.placed(found))
}

fn fine(out: &mut dyn Write, config: &Config, problems: &Problems) -> Result<(), Stop> {
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    writeln!(
        out,
        "{}: fine ({}, {}, config {})",
        escape(&config.path.display().to_string()),
        plural(config.issuers.len(), "issuer"),
        plural(config.domains.accounts.len(), "account"),
        config.hash.get(..12).unwrap_or(&config.hash),
    )?;
    if !problems.rendered.is_empty() {
        let text = for_reader(&problems.rendered, std::io::stdout().is_terminal());
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Loads a config for any command. The error lists all problems of the config.
pub(super) fn load(path: &Path) -> Result<Config, Stop> {
    Config::load(path).map_err(stop)
}

fn stop(problems: Problems) -> Stop {
    let text = for_reader(&problems.rendered, std::io::stderr().is_terminal());
    Stop::Rendered(exit(&problems), text)
}

fn exit(problems: &Problems) -> Exit {
    match problems.count {
        0 => Exit::Fine,
        _ if problems.unreadable => Exit::Io,
        _ => Exit::Config,
    }
}

/// Folds long lines for a terminal. A program that reads the output gets each text in one line.
fn for_reader(rendered: &str, is_terminal: bool) -> String {
    match is_terminal {
        true => fold(rendered),
        false => rendered.to_owned(),
    }
}

#[cfg(test)]
mod tests;
