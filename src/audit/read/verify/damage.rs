//! Random histories with random damage. Verification finds all damage under the checkpoint and
//! names its place. An earlier checkpoint or a receipt reveals what an insider with the key did. A
//! sound log always verifies.

mod alone;
mod history;
mod insider;
mod snapshot;

use std::path::Path;

use proptest::test_runner::Config;

use super::{Failure, Job, Summary, check};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::VerifierKey;
use crate::audit::read::Location;

/// How many acts of damage each history suffers.
const ACTS: usize = 4;

/// At least 500 acts of damage; 20,000 with `LYCHGATE_FULL`.
fn config() -> Config {
    let acts = match std::env::var_os("LYCHGATE_FULL") {
        Some(_) => 20_000,
        None => 500,
    };
    Config {
        cases: acts / ACTS as u32,
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    }
}

fn verify(
    directory: &Path,
    verifier: &VerifierKey,
    against: Option<&Checkpoint>,
) -> Result<Summary, Failure> {
    let job = Job {
        location: &Location::Folder(directory.to_owned()),
        key: None,
        verifier: Some(verifier),
        against,
    };
    check(&job, |_, _, _| {})
}
