//! `audit verify` without a log: a tlog-proof, a receipt, or both.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use super::super::report::{ReceiptReport, Report};
use super::super::source::Folder;
use super::{Arguments, end};
use crate::audit::log::hash_from_base64;
use crate::audit::log::key::{Key, VerifierKey};
use crate::audit::log::merkle::Hash;
use crate::audit::log::proof::{MAX_PROOF_BYTES, TlogProof};
use crate::audit::read::prove::{Evidence, judge, max_bytes_apart};
use crate::audit::read::verify::Failure;
use crate::cli::exit::{Exit, Stop};

/// Verifies a proof, a receipt or both. Uses the given key or, without one, the folder's key.
pub(super) fn run(
    out: &mut dyn Write,
    arguments: &Arguments,
    folder: Option<&Folder>,
) -> Result<Exit, Stop> {
    let receipt = arguments.receipt();
    if arguments.proof.is_none() && receipt.is_none() {
        let message =
            "nothing to verify: give --dir DIR or --config FILE, --proof FILE, or --receipt";
        return Err(Stop::usage(message));
    }
    let key = match (arguments.key()?, &arguments.key_file) {
        (Some(key), _) => Some(key),
        (None, Some(path)) => Some(Key::read(path).map_err(Stop::io)?.verifier().clone()),
        (None, None) => folder.map(Folder::verifier).transpose()?.flatten(),
    };
    let Some(key) = key else {
        let message = "no key to judge by: give --key VERIFIER";
        return Err(Stop::usage(message));
    };
    let mut report = Report {
        origin: Some(key.origin().to_owned()),
        verifier: Some(key.to_string()),
        trusts_folder: !arguments.has_key(),
        is_offline: true,
        ..Report::default()
    };
    let mut claim = None;
    if let Some(receipt) = &receipt {
        let (judged, claimed) = ReceiptReport::judge(receipt, &key);
        report.receipt = Some(judged);
        claim = claimed;
    }
    if let Some(path) = &arguments.proof {
        match proof(path, &key, arguments.leaf.as_deref())? {
            Ok(proof) => report.proof = Some(proof),
            Err(what) => report.failure = Some(Failure::damaged(what)),
        }
    }
    if let (Some(claim), Some(proof), Some(receipt)) = (claim, &report.proof, &mut report.receipt) {
        receipt.add_check(claim.by_proof(proof.index, &proof.leaf, proof.entry.as_deref()));
    }
    end(out, arguments, report)
}

/// Reads a file, or standard input if the path is `-`. If the file has more than `most` bytes, returns
/// `most` + 1 bytes, so that the caller can tell.
pub(super) fn read(path: &Path, most: usize) -> Result<Vec<u8>, Stop> {
    let limit = most as u64 + 1;
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(limit).read_to_end(&mut bytes),
        false => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)),
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            Err(Stop::io(message))
        }
    }
}

/// Verifies the proof in a file, together with the file that holds its intents apart, if there is one.
/// Returns what the proof shows, or why it does not hold.
fn proof(
    path: &Path,
    key: &VerifierKey,
    given: Option<&str>,
) -> Result<Result<Evidence, String>, Stop> {
    let proof = match TlogProof::parse(&read(path, MAX_PROOF_BYTES)?) {
        Ok(proof) => proof,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let given = match given.map(hash).transpose() {
        Ok(given) => given,
        Err(error) => return Ok(Err(error)),
    };
    let judged = judge(&proof, None, given.as_ref(), key);
    // Reads the intents' file only for an entry that the log has.
    let most = max_bytes_apart(&proof).filter(|_| judged.is_ok() && path.as_os_str() != "-");
    let apart = most.map(|most| apart(path, most)).transpose()?.flatten();
    Ok(match apart {
        Some(apart) => judge(&proof, Some(&apart), given.as_ref(), key),
        None => judged,
    })
}

/// The content of the intent's file beside a proof's file, if the intent's file exists.
fn apart(proof: &Path, most: usize) -> Result<Option<Vec<u8>>, Stop> {
    let path = beside(proof);
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Ok(found) if !found.is_file() => Err(Stop::io(format!(
            "cannot read {}: it is no file",
            path.display()
        ))),
        _ => read(&path, most).map(Some),
    }
}

/// The path of the file for an intent that is too long for the proof: `.intent` is added to the proof's
/// path.
pub(in crate::cli::audit) fn beside(proof: &Path) -> PathBuf {
    let mut name = OsString::from(proof);
    name.push(".intent");
    name.into()
}

/// Decodes a hash; accepts only its canonical base64 form.
pub(in crate::cli::audit) fn hash(text: &str) -> Result<Hash, String> {
    hash_from_base64(text).ok_or_else(|| format!("`{text}` is no leaf hash: 32 bytes in base64"))
}
