//! The parameters of a verification.

use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::key::Key;
use crate::audit::log::verifier_key::VerifierKey;
use crate::audit::read::Location;

/// The log to verify, and the keys to verify it with.
#[derive(Clone, Copy, Debug)]
pub struct Job<'j> {
    /// Where the log is.
    pub location: &'j Location,
    /// The signing key. With it, the journal's reader also verifies the tags of the batches.
    pub key: Option<&'j Key>,
    /// The public key that must have signed the checkpoint.
    pub verifier: Option<&'j VerifierKey>,
    /// An earlier checkpoint that the caller kept; the log must be consistent with it.
    pub against: Option<&'j Checkpoint>,
}
