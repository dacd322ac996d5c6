//! `lychgate audit verify`: is the trail whole, unaltered and consistent, and does it bear out a receipt?

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use super::report::{ReceiptReport, Report};
use super::source::{Folder, Source};
use crate::audit::Receipt;
use crate::audit::key::Key;
use crate::audit::verifier_key::VerifierKey;
use crate::audit::verify::{self, Claim, Failure, Finding, Standing, Trouble};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// On a terminal, progress is shown each time so many entries have passed.
const PROGRESS_ENTRIES: u64 = 65_536;

/// What `audit verify` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lychgate audit verify --config lychgate.toml
  lychgate audit verify --dir audit --key-file audit.key --json
  lychgate audit verify --dir audit --key \"$(cat verifier.txt)\" \\
    --receipt lychgate.example.com/edge-1/42 --leaf BASE64 --signature BASE64

Works beside a running gateway: deletions in flight are counted, not a fault.
Exit 1 where the trail is missing, damaged or inconsistent, 74 where it cannot be read.")]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// The signing key: with it, each batch's tag is checked too (`--config` names one)
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The verifier key, NAME+HASH+BASE64; without it or a key file the folder's own, which trusts the folder
    #[arg(long, value_name = "VERIFIER", value_parser = verifier)]
    key: Option<VerifierKey>,
    /// Judge a receipt: the header lychgate-receipt
    #[arg(long, value_name = "ORIGIN/INDEX", requires_all = ["leaf", "signature"])]
    receipt: Option<String>,
    /// The header lychgate-receipt-leaf
    #[arg(long, value_name = "BASE64", requires = "receipt")]
    leaf: Option<String>,
    /// The header lychgate-receipt-signature
    #[arg(long, value_name = "BASE64", requires = "receipt")]
    signature: Option<String>,
}

/// Verifies.
///
/// # Errors
/// Where something cannot be read (74), or a receipt has no key to be judged by (1).
pub(super) fn run(out: &mut dyn Write, arguments: &Arguments) -> Result<Exit, Stop> {
    let folder = arguments.source.folder()?;
    let key = signing_key(&folder, arguments)?;
    let own = folder.verifier()?;
    let at_hand = arguments
        .key
        .clone()
        .or_else(|| key.as_ref().map(|k| k.verifier().clone()));
    let mut report = Report {
        tags_checked: key.is_some(),
        trusts_folder: at_hand.is_none(),
        ..Report::default()
    };
    if let Some(failure) = another_key(&folder, own.as_ref(), [&arguments.key, &at_hand]) {
        report.failure = Some(failure);
        return end(out, arguments, report);
    }
    let verifier = at_hand.or(own);
    report.origin = verifier
        .as_ref()
        .map(|v| v.origin().to_owned())
        .or(folder.origin.clone());
    let claim = match arguments.receipt() {
        Some(receipt) => Some(judge(&receipt, verifier.as_ref(), &mut report)?),
        None => None,
    };
    let mut finding = claim.flatten().map(Finding::new);
    let verified = verify::folder(&folder.directory, key.as_ref(), |index, entry, leaf| {
        if let Some(finding) = &mut finding {
            finding.push(index, entry, leaf);
        }
        progress(index);
    });
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
    end(out, arguments, report)
}

impl Arguments {
    fn receipt(&self) -> Option<Receipt> {
        Some(Receipt {
            receipt: self.receipt.clone()?,
            leaf: self.leaf.clone()?,
            signature: self.signature.clone()?,
        })
    }
}

fn end(out: &mut dyn Write, arguments: &Arguments, report: Report) -> Result<Exit, Stop> {
    if arguments.json {
        report.json(out)?;
    } else {
        report.print(out)?;
    }
    Ok(if report.holds() { Exit::Fine } else { Exit::No })
}

/// A key file that is asked for must be readable; one that a config names is used where it is.
fn signing_key(folder: &Folder, arguments: &Arguments) -> Result<Option<Key>, Stop> {
    if let Some(path) = &arguments.key_file {
        let key = Key::read(path).map_err(|error| Stop::with(Exit::Io, error))?;
        return Ok(Some(key));
    }
    let Some(path) = &folder.key_file else {
        return Ok(None);
    };
    Key::read(path).map(Some).or_else(|error| {
        tell(format!("tags are not checked: {error}"));
        Ok(None)
    })
}

/// A folder belongs to one origin and one key.
fn another_key(
    folder: &Folder,
    own: Option<&VerifierKey>,
    given: [&Option<VerifierKey>; 2],
) -> Option<Failure> {
    let own = own?;
    let what = match given.into_iter().flatten().find(|key| *key != own) {
        Some(key) => format!("the folder's verifier key is {own}, and the key given is {key}"),
        None => {
            let origin = folder
                .origin
                .as_deref()
                .filter(|origin| *origin != own.origin())?;
            format!(
                "the folder belongs to {}, and the config says {origin}",
                own.origin()
            )
        }
    };
    Some(Failure {
        trouble: Trouble::Damaged,
        index: None,
        place: None,
        what,
    })
}

/// Whether a receipt is genuine; what it claims, where it is.
fn judge(
    receipt: &Receipt,
    verifier: Option<&VerifierKey>,
    report: &mut Report,
) -> Result<Option<Claim>, Stop> {
    let Some(verifier) = verifier else {
        let message = "no verifier key to judge the receipt by: give --key VERIFIER";
        return Err(Stop::with(Exit::No, message));
    };
    let claim = receipt
        .verify(verifier)
        .map(|(index, leaf)| Claim { index, leaf });
    report.receipt = Some(ReceiptReport::new(
        &receipt.receipt,
        verifier,
        claim.is_some(),
    ));
    Ok(claim)
}

impl ReceiptReport {
    fn stand(&mut self, standing: Standing) {
        let (borne_out, what) = match standing {
            Standing::Closing(index) => {
                (true, format!("entry {index} is the closing entry it names"))
            }
            Standing::Intent => (true, "it names the intent".into()),
            Standing::NotBorneOut(why) => (false, why),
        };
        self.borne_out = Some(borne_out);
        self.what = Some(what);
    }
}

fn progress(index: u64) {
    let mut err = std::io::stderr();
    if index % PROGRESS_ENTRIES == PROGRESS_ENTRIES - 1 && err.is_terminal() {
        // Where it cannot be shown, the work goes on.
        let _ = write!(err, "\r{} entries …\r", index + 1);
    }
}

fn verifier(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| error.to_string())
}
