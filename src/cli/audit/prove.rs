//! `lychgate audit prove`: makes a C2SP tlog-proof of a deletion. The proof holds the deletion's
//! entries. `audit verify --proof` checks it without the log.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::trail::{Reading, Trail, index_of_receipt};
use super::verify::{beside, hash};
use crate::audit::read::Trouble;
use crate::audit::read::prove::{PATIENCE, ProveError, Proved, Side, Wanted, prove};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit prove lychgate.example.com/edge-1/42 --dir audit \\
    --out a.tlog-proof
  lychgate audit prove 01938f3e-5a1b-7c3d-8e9f-0a1b2c3d4e5f --dir audit
  lychgate audit prove 42 --dir audit --leaf BASE64 --entry intent

The proof holds the entry that closes the deletion, and the intent that it
closes. Waits up to 2 s until a checkpoint covers them. Check the proof without
the log:
  lychgate audit verify --proof a.tlog-proof --key verifier.txt")]
pub(super) struct Arguments {
    /// An index, for that entry; a receipt (ORIGIN/INDEX) or a request id, for an entry of the
    /// deletion
    #[arg(value_name = "INDEX|RECEIPT|REQUEST_ID")]
    what: String,
    #[command(flatten)]
    reading: Reading,
    /// The header lychgate-receipt-leaf; exit 1 if it is not the leaf of an entry of the deletion
    #[arg(long, value_name = "BASE64")]
    leaf: Option<String>,
    /// The entry of the deletion to prove
    #[arg(long, value_enum, default_value = "closing")]
    entry: Which,
    /// The new file for the proof; default: standard output. An intent too long for the proof goes
    /// to FILE.intent
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Which {
    /// The entry that closes the deletion, with its intent; or the refusal
    Closing,
    /// The deletion's intent alone
    Intent,
}

pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let file = arguments.out.as_deref();
    if let Some(file) = file {
        must_be_new(file)?;
        must_be_new(&beside(file))?;
    }
    let trail = arguments.reading.trail()?;
    let wanted = wanted(&trail, &arguments.what)?;
    let given = arguments.leaf.as_deref().map(hash).transpose();
    let given = given.map_err(Stop::no)?;
    let Some(key) = &trail.key else {
        // A folder without a trail has no key either. In this case, return the error that the trail is
        // missing.
        trail.open()?;
        let message = "no verifier key to judge the checkpoint by: give --key VERIFIER";
        return Err(Stop::usage(message));
    };
    let side = match arguments.entry {
        Which::Closing => Side::Closing,
        Which::Intent => Side::Intent,
    };
    let given = given.as_ref();
    let proved = prove(&trail.location, key, &wanted, side, given, PATIENCE).map_err(stop)?;
    match file {
        Some(file) => {
            save(file, &proved)?;
            let (index, file) = (proved.proof.index, file.display());
            tell(format!("wrote the proof of entry {index} to {file}"));
        }
        None => print(out, &proved)?,
    }
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
    match error {
        ProveError::Log(missing) if missing.trouble != Trouble::Damaged => missing.into(),
        error => Stop::no(error),
    }
}

/// The reason why the intent is not in the proof.
const TOO_LONG: &str =
    "the proof does not hold the intent, because both entries would exceed 48,000 bytes";

fn print(out: &mut dyn Write, proved: &Proved) -> Result<(), Stop> {
    out.write_all(&proved.proof.to_text())?;
    if proved.apart.is_some() {
        tell(format!(
            "{TOO_LONG}: `--out FILE` also writes it, to FILE.intent"
        ));
    }
    Ok(())
}

/// Writes the intent's file before the proof's file: if the proof's file exists, nothing is missing.
fn save(file: &Path, proved: &Proved) -> Result<(), Stop> {
    let beside = beside(file);
    if let Some(apart) = &proved.apart {
        write_new(&beside, apart)?;
        let name = beside.display();
        tell(format!(
            "{TOO_LONG}: it is in {name}; keep the two files together"
        ));
    }
    write_new(file, &proved.proof.to_text()).inspect_err(|_| {
        if proved.apart.is_some() {
            // If this fails too, the intent's file stays. The error names the folder, because it names
            // the proof's path.
            let _ = fs::remove_file(&beside);
        }
    })
}

fn must_be_new(path: &Path) -> Result<(), Stop> {
    match path.symlink_metadata() {
        Ok(_) => Err(cannot_write(path, ErrorKind::AlreadyExists.into())),
        Err(_) => Ok(()),
    }
}

/// Writes a new file. If a write fails, removes the incomplete file.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let mut file = File::create_new(path).map_err(|error| cannot_write(path, error))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        // If this fails too, the incomplete file stays, and the error names it.
        let _ = fs::remove_file(path);
        cannot_write(path, error)
    })
}

fn cannot_write(path: &Path, error: io::Error) -> Stop {
    let path = path.display();
    match error.kind() {
        ErrorKind::AlreadyExists => Stop::io(format!(
            "{path} exists, and this command never overwrites a file: give another name"
        )),
        _ => Stop::io(format!("cannot write {path}: {error}")),
    }
}
