//! `lychgate audit verify`: checks that a trail is complete, unaltered and consistent, and that it
//! bears out a receipt. Without a trail, it checks a proof or a receipt's signature.

mod log;
mod offline;

pub(super) use offline::{beside, hash};

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use super::key::{GivenKey, missing_key};
use super::remote::{Remote, is_address};
use super::report::Report;
use super::source::Folder;
use crate::audit::Receipt;
use crate::audit::log::checkpoint::MAX_NOTE_BYTES;
use crate::audit::log::key::VerifierKey;
use crate::audit::read::{CHECKPOINT, Files, Location};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::print_json;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit verify --config lychgate.toml
  lychgate audit verify --dir audit --key verifier.txt --against kept.checkpoint
  lychgate audit verify --dir audit --key verifier.txt \\
    --receipt lychgate.example.com/edge-1/42 --leaf BASE64 --signature BASE64
  lychgate audit verify --dir http://127.0.0.1:9080 --token-file admin.token \\
    --key verifier.txt
  lychgate audit verify --proof a.tlog-proof --key verifier.txt

At an address, the command reads and verifies only the published files that the
checkpoint covers. It works beside a running gateway: it counts deletions in
flight, and they are no fault. Exit code 1 if the trail is missing, damaged or
inconsistent, or if a proof or receipt does not hold; 74 if a file cannot be
read.")]
#[command(group = clap::ArgGroup::new("judged").args(["proof", "receipt"]).multiple(true))]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The signing key; with it, each batch's tag is checked too (default: the key that --config
    /// names)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The verifier key, or a file that holds it; without it or a key file, the folder's own, which
    /// trusts the folder. An address needs it
    #[arg(long, value_name = "VERIFIER|FILE", value_parser = GivenKey::parse)]
    key: Option<GivenKey>,
    /// The admin token, if the address in --dir requires it
    #[arg(long, value_name = "FILE", requires = "dir")]
    token_file: Option<PathBuf>,
    /// A checkpoint that you kept; if the log does not extend it, the log was rolled back or forked
    #[arg(long, value_name = "OLD_CHECKPOINT", requires = "Place")]
    against: Option<PathBuf>,
    /// Verify a tlog-proof from `audit prove`, with FILE.intent if it has one; needs no log
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    proof: Option<PathBuf>,
    /// Verify a receipt: the header lychgate-receipt
    #[arg(long, value_name = "ORIGIN/INDEX", requires_all = ["leaf", "signature"])]
    receipt: Option<String>,
    /// The header lychgate-receipt-leaf; for a proof, the leaf hash of its entry or of the intent
    #[arg(long, value_name = "BASE64", requires = "judged")]
    leaf: Option<String>,
    /// The header lychgate-receipt-signature
    #[arg(long, value_name = "BASE64", requires = "receipt")]
    signature: Option<String>,
}

/// The trail, if one is given.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Place {
    /// The audit folder, or the address of an admin listener or of any published log
    #[arg(long, value_name = "DIR|ADDRESS")]
    dir: Option<PathBuf>,
    /// The config that names the audit folder
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    if let Some(address) = arguments.address()? {
        return log::run(out, arguments, &address, None);
    }
    let Place { dir, config } = &arguments.place;
    match Folder::find(dir.as_deref(), config.as_deref())? {
        Some(folder) if arguments.proof.is_none() => {
            let location = Location::Folder(folder.directory.clone());
            log::run(out, arguments, &location, Some(&folder))
        }
        folder => offline::run(out, arguments, folder.as_ref()),
    }
}

impl Arguments {
    /// The log to verify, if `--dir` is an address and no proof is given.
    fn address(&self) -> Result<Option<Location>, Stop> {
        let address = self.place.dir.as_ref().filter(|dir| is_address(dir));
        let Some(address) = address.filter(|_| self.proof.is_none()) else {
            return Ok(None);
        };
        if !self.has_key() {
            return Err(missing_key());
        }
        let remote = Remote::new(&address.to_string_lossy(), self.token_file.as_deref())?;
        let checkpoint = remote.file(CHECKPOINT, MAX_NOTE_BYTES);
        if checkpoint.map_err(Stop::io)?.is_none() {
            let message = "there is no checkpoint: nothing is published";
            return Err(Stop::io(message));
        }
        Ok(Some(Location::Published(Arc::new(remote))))
    }

    fn receipt(&self) -> Option<Receipt> {
        Some(Receipt {
            receipt: self.receipt.clone()?,
            leaf: self.leaf.clone()?,
            signature: self.signature.clone()?,
        })
    }

    fn key(&self) -> Result<Option<VerifierKey>, Stop> {
        self.key.as_ref().map(GivenKey::read).transpose()
    }

    fn has_key(&self) -> bool {
        self.key.is_some() || self.key_file.is_some()
    }
}

fn end(out: &mut dyn Write, arguments: &Arguments, report: Report) -> Result<Exit, Stop> {
    match arguments.json {
        true => print_json(out, &report)?,
        false => report.print(out)?,
    }
    Ok(match report.answer().0 {
        true => Exit::Fine,
        false => Exit::No,
    })
}
