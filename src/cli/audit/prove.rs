//! `lychgate audit prove`: prints a C2SP tlog-proof that holds the entry and verifies offline.

use std::io::Write;

use super::trail::{Reading, Trail, index_of_receipt};
use super::verify::hash;
use crate::audit::read::Trouble;
use crate::audit::read::prove::{PATIENCE, ProveError, Side, Wanted, prove};
use crate::cli::exit::{Exit, Stop};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit prove lychgate.example.com/edge-1/42 --config lychgate.toml > deletion.tlog-proof
  lychgate audit prove 01938f3e-5a1b-7c3d-8e9f-0a1b2c3d4e5f --dir audit --entry intent
  lychgate audit prove 42 --dir audit --leaf BASE64

Waits up to 2 s until a checkpoint covers the entry. Check the proof anywhere, without the log:
  lychgate audit verify --proof deletion.tlog-proof --key VERIFIER")]
pub(super) struct Arguments {
    /// An index, for that entry; a receipt (ORIGIN/INDEX) or a request id, for an entry of the
    /// deletion
    #[arg(value_name = "INDEX|RECEIPT|REQUEST_ID")]
    what: String,
    #[command(flatten)]
    reading: Reading,
    /// The header lychgate-receipt-leaf; exit 1 if it is not the leaf of one of the deletion's two
    /// entries
    #[arg(long, value_name = "BASE64")]
    leaf: Option<String>,
    /// The entry of the deletion to prove
    #[arg(long, value_enum, default_value = "closing")]
    entry: Which,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Which {
    /// The entry that closes the deletion, or its refusal
    Closing,
    /// The deletion's intent
    Intent,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let trail = arguments.reading.trail()?;
    let wanted = wanted(&trail, &arguments.what)?;
    let given = arguments.leaf.as_deref().map(hash).transpose();
    let given = given.map_err(Stop::no)?;
    let Some(key) = &trail.key else {
        let message = "no verifier key to judge the checkpoint by: give --key VERIFIER";
        return Err(Stop::no(message));
    };
    let side = match arguments.entry {
        Which::Closing => Side::Closing,
        Which::Intent => Side::Intent,
    };
    let given = given.as_ref();
    let proof = prove(&trail.location, key, &wanted, side, given, PATIENCE);
    out.write_all(&proof.map_err(stop)?.to_text())?;
    Ok(Exit::Fine)
}

fn wanted(trail: &Trail, what: &str) -> Result<Wanted, Stop> {
    if what.contains('/') {
        return index_of_receipt(what, trail.origin.as_deref()).map(Wanted::Deletion);
    }
    let index = what.parse().ok();
    let index = index.filter(|index: &u64| index.to_string() == what);
    Ok(index.map_or_else(|| Wanted::Request(what.to_owned()), Wanted::Index))
}

fn stop(error: ProveError) -> Stop {
    let exit = match &error {
        ProveError::Log(missing) if missing.trouble == Trouble::Unreadable => Exit::Io,
        _ => Exit::No,
    };
    Stop::Message(exit, error.to_string())
}
