//! `audit verify` of a log, in a folder or at an address.

use std::io::Write;
use std::path::Path;

use super::super::progress::Bar;
use super::super::report::{ReceiptReport, Report};
use super::super::source::Folder;
use super::offline::read;
use super::{Arguments, end};
use crate::audit::log::checkpoint::{Checkpoint, MAX_NOTE_BYTES};
use crate::audit::log::key::{Key, VerifierKey};
use crate::audit::read::verify::{Failure, Finding, Job};
use crate::audit::read::{Location, Trouble, verify};
use crate::cli::exit::{Exit, Stop};
use crate::cli::output::tell;

/// Verifies a log. `folder` is `None` for a log at an address.
pub(super) fn run(
    out: &mut dyn Write,
    arguments: &Arguments,
    location: &Location,
    folder: Option<&Folder>,
) -> Result<Exit, Stop> {
    let given = arguments.key()?;
    let signing = signing_key(folder, arguments)?;
    let own = folder.map(Folder::verifier).transpose()?.flatten();
    let named = folder.and_then(|folder| folder.origin.as_deref());
    let signer = signing.as_ref().map(|key| key.verifier().clone());
    let outside = given.clone().or(signer);
    let mut report = Report {
        tags_checked: signing.is_some(),
        trusts_folder: outside.is_none(),
        ..Report::default()
    };
    if let Some(failure) = another_key(named, own.as_ref(), [&given, &outside]) {
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
            return Err(Stop::usage(message));
        }
        (None, _) => None,
    };
    let against = arguments.against.as_ref();
    let kept = against.map(|path| kept(path, key.as_ref())).transpose()?;
    let kept = match kept.transpose() {
        Ok(kept) => kept,
        Err(failure) => {
            report.failure = Some(failure);
            return end(out, arguments, report);
        }
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
            return Err(Stop::io(failure));
        }
        Err(failure) => report.failure = Some(failure),
    }
    if let (Some(finding), Some(receipt), None) = (finding, &mut report.receipt, &report.failure) {
        receipt.add_check(finding.result);
    }
    Ok(())
}

/// Reads the signing key. A key file from the command line must be readable. If the config's key file
/// is unreadable, `verify` does not check tags.
fn signing_key(folder: Option<&Folder>, arguments: &Arguments) -> Result<Option<Key>, Stop> {
    if let Some(path) = &arguments.key_file {
        return Key::read(path).map(Some).map_err(Stop::io);
    }
    let Some(path) = folder.and_then(|folder| folder.key_file.as_ref()) else {
        return Ok(None);
    };
    Key::read(path).map(Some).or_else(|error| {
        tell(format!("tags are not checked: {error}"));
        Ok(None)
    })
}

/// Returns a failure if the folder's own key differs from a given key, or if its origin differs from
/// the config's.
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
    Some(Failure::damaged(what))
}

/// Reads the kept checkpoint. Returns a failure if this log did not sign the checkpoint.
fn kept(path: &Path, key: Option<&VerifierKey>) -> Result<Result<Checkpoint, Failure>, Stop> {
    let Some(key) = key else {
        let message = "no verifier key to judge the kept checkpoint by: give --key VERIFIER";
        return Err(Stop::usage(message));
    };
    let bytes = read(path, MAX_NOTE_BYTES)?;
    let failure = |error| {
        let what = format!("the kept checkpoint, {}: {error}", path.display());
        Failure::damaged(what)
    };
    Ok(Checkpoint::open(&bytes, key).map_err(failure))
}
