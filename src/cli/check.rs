//! `lychgate check`: says whether `run` would accept this config.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::escape::escape;
use super::exit::{Exit, Stop};
use crate::audit;
use crate::config::{Config, Problems};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate check --config lychgate.toml
  lychgate check --config lychgate.toml && systemctl reload lychgate")]
pub(super) struct Arguments {
    /// The config file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let config = load(&arguments.config)?;
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    writeln!(
        out,
        "{}: fine ({}, {}, config {})",
        escape(&arguments.config.display().to_string()),
        plural(config.issuers.len(), "issuer"),
        plural(config.domains.accounts.len(), "account"),
        config.hash.get(..12).unwrap_or(&config.hash),
    )?;
    let notes = [
        audit::log::key::exposed(&config.audit.key_file),
        audit::unwatched(&config.audit.seen_file),
    ];
    for why in notes.into_iter().flatten() {
        writeln!(out, "note: {}", escape(&why))?;
    }
    Ok(Exit::Fine)
}

/// Loads a config for any command. The error lists all its problems.
pub(super) fn load(path: &Path) -> Result<Config, Stop> {
    Config::load(path).map_err(stop)
}

fn stop(problems: Problems) -> Stop {
    let exit = match problems.unreadable {
        true => Exit::Io,
        false => Exit::Config,
    };
    Stop::Rendered(exit, problems.rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(unreadable: bool) -> Exit {
        let rendered = "lychgate.toml:3:1: unknown key".to_string();
        match stop(Problems {
            rendered,
            count: 1,
            unreadable,
        }) {
            Stop::Rendered(exit, text) => {
                assert_eq!(text, "lychgate.toml:3:1: unknown key");
                exit
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn p12_an_invalid_config_is_78_and_an_unreadable_one_74() {
        assert_eq!(exit(false), Exit::Config);
        assert_eq!(exit(true), Exit::Io);
    }
}
