//! `lychgate audit keygen`: a signing key for a trail; it is never made silently.

use std::io::Write;
use std::path::PathBuf;

use crate::audit::log::key::keygen;
use crate::audit::log::verifier_key::origin_fault;
use crate::cli::exit::{Exit, Stop};

/// What `audit keygen` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key
  lychgate audit keygen --origin lychgate.example.com/edge-1 --out audit.key > verifier.txt

Keep the line that is printed apart from the gateway: with it, anybody can check a receipt.")]
pub(super) struct Arguments {
    /// The log's name: visible ASCII without `+`, at most 255 bytes; `origin` in the config
    #[arg(long, value_name = "NAME", value_parser = origin)]
    origin: String,
    /// Where the key goes (mode 0600); a file that is there is never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes the key, prints the verifier key.
///
/// # Errors
/// Where the file is there already or cannot be written.
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let verifier =
        keygen(&arguments.origin, &arguments.out).map_err(|error| Stop::with(Exit::Io, error))?;
    writeln!(out, "{verifier}")?;
    Ok(Exit::Fine)
}

/// A name that a log may have.
pub(super) fn origin(text: &str) -> Result<String, &'static str> {
    origin_fault(text).map_or_else(|| Ok(text.to_owned()), Err)
}
