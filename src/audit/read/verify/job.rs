//! What is to be verified.

use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::Location;

/// What is to be verified, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Job<'j> {
    /// Where the log is.
    pub location: &'j Location,
    /// The signing key: with it the tags of the journal's batches are checked too.
    pub key: Option<&'j Key>,
    /// The key that the checkpoint must be signed by.
    pub verifier: Option<&'j VerifierKey>,
    /// A checkpoint that was kept: the log must go on from it.
    pub against: Option<&'j Checkpoint>,
}
