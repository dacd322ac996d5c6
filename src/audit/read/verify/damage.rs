//! Random histories, random damage: what is under the checkpoint is always found and its place named;
//! what an insider with the key does, by whoever kept a checkpoint or a receipt; and what is whole
//! always verifies.

mod alone;
mod history;
mod insider;
mod snapshot;

use std::path::Path;

use proptest::test_runner::Config;

use super::{Failure, Job, Summary, check};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::Location;

/// So many acts of damage are done to each history.
const ACTS: usize = 4;

/// At least 500 acts of damage; with `LYCHGATE_FULL` 20,000.
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
