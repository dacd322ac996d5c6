//! `audit verify` without a log: a tlog-proof, a receipt, or both.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use super::super::report::{ProofReport, ReceiptReport, Report};
use super::super::source::Folder;
use super::{Arguments, end};
use crate::audit::log::hash_from_base64;
use crate::audit::log::key::{Key, VerifierKey};
use crate::audit::log::merkle::{Hash, leaf};
use crate::audit::log::proof::{MAX_PROOF_BYTES, TlogProof};
use crate::audit::read::verify::Failure;
use crate::cli::exit::{Exit, Stop};

/// Verifies a proof and a receipt with the given key, or else with the folder's.
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
    let key = match (&arguments.key, &arguments.key_file) {
        (Some(key), _) => Some(key.clone()),
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
        let bytes = read(path, MAX_PROOF_BYTES)?;
        match judge(&bytes, &key, arguments.leaf.as_deref()) {
            Ok(proof) => report.proof = Some(proof),
            Err(what) => report.failure = Some(Failure::damaged(what)),
        }
    }
    if let (Some(claim), Some(proof), Some(receipt)) = (claim, &report.proof, &mut report.receipt) {
        receipt.add_check(claim.by_proof(proof.index, &proof.hash, proof.entry.as_deref()));
    }
    end(out, arguments, report)
}

/// Reads at most `most` bytes of a file, and one more if it is longer; `-` is standard input.
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

fn judge(bytes: &[u8], key: &VerifierKey, given: Option<&str>) -> Result<ProofReport, String> {
    let proof = TlogProof::parse(bytes).map_err(|error| error.to_string())?;
    let given = given.map(hash).transpose()?;
    let own = proof.extra.as_deref().map(leaf);
    if let (Some(given), Some(own)) = (given, own)
        && given != own
    {
        return Err("the leaf given is not that of the entry in the proof".into());
    }
    let hash = own
        .or(given)
        .ok_or("the proof does not hold the entry: give --leaf BASE64")?;
    let checkpoint = proof
        .verify(&hash, key)
        .map_err(|error| error.to_string())?;
    Ok(ProofReport {
        index: proof.index,
        size: checkpoint.size,
        hash,
        entry: proof.extra,
    })
}

/// Decodes a hash; accepts only its canonical base64 form.
pub(in crate::cli::audit) fn hash(text: &str) -> Result<Hash, String> {
    hash_from_base64(text).ok_or_else(|| format!("`{text}` is no leaf hash: 32 bytes in base64"))
}
