//! `lychgate audit verify`: is the trail whole, unaltered and consistent, and does it bear out a receipt?
//! Or, without a trail: does a proof hold, is a receipt genuine?

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::offline;
use super::progress::Bar;
use super::receipt_report::ReceiptReport;
use super::remote::{Remote, is_address};
use super::report::Report;
use super::source::{Folder, Source};
use crate::audit::Receipt;
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::note::MAX_NOTE_BYTES;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::verify;
use crate::audit::read::verify::{Failure, Finding, Job, Trouble};
use crate::audit::read::{CHECKPOINT, Files, Location};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// What `audit verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit verify --config lychgate.toml
  lychgate audit verify --dir audit --key \"$(cat verifier.txt)\" --against kept.checkpoint
  lychgate audit verify --dir audit --key \"$(cat verifier.txt)\" \\
    --receipt lychgate.example.com/edge-1/42 --leaf BASE64 --signature BASE64
  lychgate audit verify --dir http://127.0.0.1:9080 --token-file admin.token --key \"$(cat verifier.txt)\"
  lychgate audit verify --proof deletion.tlog-proof --key \"$(cat verifier.txt)\"

Of an address, what the checkpoint implies is read and judged.
Works beside a running gateway: deletions in flight are counted, not a fault.
Exit 1 where the trail is missing, damaged or inconsistent, 74 where it cannot be read.")]
#[command(group = clap::ArgGroup::new("judged").args(["proof", "receipt"]).multiple(true))]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// The signing key: with it, each batch's tag is checked too (`--config` names one)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The verifier key, NAME+HASH+BASE64; without it or a key file the folder's own, which trusts the folder
    #[arg(long, value_name = "VERIFIER", value_parser = verifier)]
    key: Option<VerifierKey>,
    /// The admin token, where --dir is an address that asks for it
    #[arg(long, value_name = "FILE", requires = "dir")]
    token_file: Option<PathBuf>,
    /// A checkpoint that was kept: the log must go on from it, else it was rolled back or forked
    #[arg(long, value_name = "OLD_CHECKPOINT", requires = "Place")]
    against: Option<PathBuf>,
    /// Judge a tlog-proof from `audit prove`; needs no log
    #[arg(long, value_name = "FILE", conflicts_with = "against")]
    pub(super) proof: Option<PathBuf>,
    /// Judge a receipt: the header lychgate-receipt
    #[arg(long, value_name = "ORIGIN/INDEX", requires_all = ["leaf", "signature"])]
    receipt: Option<String>,
    /// The header lychgate-receipt-leaf; of a proof without the entry in it, the entry's leaf hash
    #[arg(long, value_name = "BASE64", requires = "judged")]
    pub(super) leaf: Option<String>,
    /// The header lychgate-receipt-signature
    #[arg(long, value_name = "BASE64", requires = "receipt")]
    signature: Option<String>,
}

/// Which trail, where one is meant at all.
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

impl Place {
    fn folder(&self) -> Result<Option<Folder>, Stop> {
        if self.dir.is_none() && self.config.is_none() {
            return Ok(None);
        }
        let source = Source {
            dir: self.dir.clone(),
            config: self.config.clone(),
        };
        source.folder().map(Some)
    }
}

/// Verifies.
///
/// # Errors
/// Where something cannot be read (74), the command line names nothing to judge or no key to judge by
/// (2), or a receipt has no key to be judged by (1).
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    if let Some(address) = arguments.address()? {
        return trail(out, arguments, &address, None);
    }
    match arguments.place.folder()? {
        Some(folder) if arguments.proof.is_none() => {
            let location = Location::Folder(folder.directory.clone());
            trail(out, arguments, &location, Some(&folder))
        }
        folder => offline::run(out, arguments, folder.as_ref()),
    }
}

impl Arguments {
    /// The log, if it is at an address.
    fn address(&self) -> Result<Option<Location>, Stop> {
        let address = self.place.dir.as_ref().filter(|dir| is_address(dir));
        let Some(address) = address.filter(|_| self.proof.is_none()) else {
            return Ok(None);
        };
        if self.key.is_none() && self.key_file.is_none() {
            let message = "an address cannot say which key to judge by: give --key VERIFIER";
            return Err(Stop::with(Exit::Usage, message));
        }
        let remote = Remote::new(&address.to_string_lossy(), self.token_file.as_deref())?;
        let checkpoint = remote.file(CHECKPOINT, MAX_NOTE_BYTES);
        if checkpoint
            .map_err(|error| Stop::with(Exit::Io, error))?
            .is_none()
        {
            let message = "there is no checkpoint: nothing is published";
            return Err(Stop::with(Exit::Io, message));
        }
        Ok(Some(Location::Published(Arc::new(remote))))
    }
}

/// Goes through a log; `folder` is what is known of it where it has a folder.
fn trail(
    out: &mut dyn Write,
    arguments: &Arguments,
    location: &Location,
    folder: Option<&Folder>,
) -> Result<Exit, Stop> {
    let signing = signing_key(folder, arguments)?;
    let own = folder.map(Folder::verifier).transpose()?.flatten();
    let named = folder.and_then(|folder| folder.origin.as_deref());
    let outside = arguments.outside_key(signing.as_ref());
    let mut report = Report {
        tags_checked: signing.is_some(),
        trusts_folder: outside.is_none(),
        ..Report::default()
    };
    if let Some(failure) = another_key(named, own.as_ref(), [&arguments.key, &outside]) {
        report.failure = Some(failure);
        return end(out, arguments, report);
    }
    let key = outside.or(own);
    report.verifier = key.as_ref().map(ToString::to_string);
    let origin = key.as_ref().map(|key| key.origin().to_owned());
    report.origin = origin.or(named.map(str::to_owned));
    let claim = match (arguments.receipt(), &key) {
        (Some(receipt), Some(key)) => {
            let (judged, claim) = ReceiptReport::judge(&receipt, key);
            report.receipt = Some(judged);
            claim
        }
        (Some(_), None) => {
            let message = "no verifier key to judge the receipt by: give --key VERIFIER";
            return Err(Stop::with(Exit::No, message));
        }
        (None, _) => None,
    };
    let kept = match &arguments.against {
        Some(path) => match kept(path, key.as_ref())? {
            Ok(kept) => Some(kept),
            Err(failure) => {
                report.failure = Some(failure);
                return end(out, arguments, report);
            }
        },
        None => None,
    };
    report.against = kept.as_ref().map(|kept| kept.size);
    let job = Job {
        location,
        key: signing.as_ref(),
        verifier: key.as_ref(),
        against: kept.as_ref(),
    };
    go_through(&job, claim.map(Finding::new), &mut report)?;
    end(out, arguments, report)
}

fn go_through(
    job: &Job<'_>,
    mut finding: Option<Finding>,
    report: &mut Report,
) -> Result<(), Stop> {
    let mut bar = Bar::of(job.location);
    let verified = verify::check(job, |index, entry, leaf| {
        if let Some(finding) = &mut finding {
            finding.push(index, entry, leaf);
        }
        bar.step(index + 1);
    });
    drop(bar);
    match verified {
        Ok(summary) => report.summary = Some(summary),
        Err(failure) if failure.trouble == Trouble::Unreadable => {
            return Err(Stop::with(Exit::Io, failure));
        }
        Err(failure) => report.failure = Some(failure),
    }
    if let (Some(finding), Some(receipt), None) = (finding, &mut report.receipt, &report.failure) {
        receipt.stand(finding.standing());
    }
    Ok(())
}

impl Arguments {
    /// The receipt whose three headers are given.
    pub(super) fn receipt(&self) -> Option<Receipt> {
        Some(Receipt {
            receipt: self.receipt.clone()?,
            leaf: self.leaf.clone()?,
            signature: self.signature.clone()?,
        })
    }

    /// The verifier key that did not come from the folder.
    fn outside_key(&self, signing: Option<&Key>) -> Option<VerifierKey> {
        let given = self.key.clone();
        given.or_else(|| signing.map(|key| key.verifier().clone()))
    }

    /// The key to judge by where no trail is gone through.
    ///
    /// # Errors
    /// Where the key file or the folder's key cannot be read.
    pub(super) fn any_key(&self, folder: Option<&Folder>) -> Result<Option<VerifierKey>, Stop> {
        let signing = match &self.key_file {
            Some(path) if self.key.is_none() => Some(read_key(path)?),
            _ => None,
        };
        match (self.outside_key(signing.as_ref()), folder) {
            (None, Some(folder)) => folder.verifier(),
            (key, _) => Ok(key),
        }
    }

    /// Whether the key came from outside any folder.
    pub(super) fn has_key(&self) -> bool {
        self.key.is_some() || self.key_file.is_some()
    }
}

/// Prints a report; the exit code is its answer.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn end(
    out: &mut dyn Write,
    arguments: &Arguments,
    report: Report,
) -> Result<Exit, Stop> {
    if arguments.json {
        report.json(out)?;
    } else {
        report.print(out)?;
    }
    Ok(if report.holds() { Exit::Fine } else { Exit::No })
}

fn read_key(path: &Path) -> Result<Key, Stop> {
    Key::read(path).map_err(|error| Stop::with(Exit::Io, error))
}

/// A key file that is asked for must be readable; one that a config names is used where it is.
fn signing_key(folder: Option<&Folder>, arguments: &Arguments) -> Result<Option<Key>, Stop> {
    if let Some(path) = &arguments.key_file {
        return read_key(path).map(Some);
    }
    let Some(path) = folder.and_then(|folder| folder.key_file.as_ref()) else {
        return Ok(None);
    };
    Key::read(path).map(Some).or_else(|error| {
        tell(format!("tags are not checked: {error}"));
        Ok(None)
    })
}

/// A folder belongs to one origin and one key.
fn another_key(
    named: Option<&str>,
    own: Option<&VerifierKey>,
    given: [&Option<VerifierKey>; 2],
) -> Option<Failure> {
    let own = own?;
    let what = match given.into_iter().flatten().find(|key| *key != own) {
        Some(key) => format!("the folder's verifier key is {own}, and the key given is {key}"),
        None => {
            let origin = named.filter(|origin| *origin != own.origin())?;
            format!(
                "the folder belongs to {}, and the config says {origin}",
                own.origin()
            )
        }
    };
    Some(Failure::new(Trouble::Damaged, what))
}

/// The checkpoint that was kept, or why it is none of this log's.
fn kept(path: &Path, key: Option<&VerifierKey>) -> Result<Result<Checkpoint, Failure>, Stop> {
    let Some(key) = key else {
        let message = "no verifier key to judge the kept checkpoint by: give --key VERIFIER";
        return Err(Stop::with(Exit::No, message));
    };
    let bytes = offline::read(path, MAX_NOTE_BYTES)?;
    let failure = |error| {
        let what = format!("the checkpoint that was kept, {}: {error}", path.display());
        Failure::new(Trouble::Damaged, what)
    };
    Ok(Checkpoint::open(&bytes, key).map_err(failure))
}

/// Reads a verifier key of the command line.
pub(super) fn verifier(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}
