//! `lychgate audit keygen`: creates a trail's signing key. No other command creates one.

use std::io::Write;
use std::path::PathBuf;

use crate::audit::log::key::{keygen, origin_fault};
use crate::cli::exit::{Exit, Stop};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key \\
    > verifier.txt

Keep the printed line somewhere else than on the gateway: anyone can verify
receipts with it.")]
pub(super) struct Arguments {
    /// The log's name: visible ASCII without `+`, at most 255 bytes; `origin` in the config
    #[arg(long, value_name = "NAME", value_parser = origin)]
    origin: String,
    /// The file for the key (mode 0600); an existing file is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let verifier = keygen(&arguments.origin, &arguments.out).map_err(Stop::io)?;
    writeln!(out, "{verifier}")?;
    Ok(Exit::Fine)
}

pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    origin_fault(text).map_or_else(|| Ok(text.to_owned()), Err)
}
