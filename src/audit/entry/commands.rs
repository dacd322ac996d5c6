//! Entries that record a command: a read-back of users, or an accepted loss.

use serde::{Deserialize, Serialize};

use super::Cuts;

/// Who gave a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The user id of the process that gave the command, as the kernel reports it.
    pub uid: u32,
}

/// The result of a read-back, best first. A deletion's result is the worst of its users' results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Two reads found the user absent; they do not show who deleted it.
    Deleted,
    /// Two reads found the user present.
    StillThere,
    /// Anything else, or two different answers.
    CannotTell,
}

/// The read-back of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFound {
    /// The user, in decimal.
    pub user: String,
    /// The result of two reads.
    pub result: Found,
    /// Upstream's status at the last read; `None` if it did not answer.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` at that read.
    pub revision: Option<String>,
}

/// The read-back of a deletion with an unknown outcome. If one entry is too small, several
/// consecutive entries hold it, and the last one completes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciled {
    /// The index of the (first) intent.
    pub intent: u64,
    /// The request's id.
    pub request_id: String,
    /// The worst of all its users' results.
    pub result: Found,
    /// Upstream's status at the last read of the first user with that result.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` at that read.
    pub revision: Option<String>,
    /// The host and port of the read-back: those of the intent's `domain`.
    pub host: String,
    /// This part's users, in the intent's order.
    pub users: Vec<UserFound>,
    /// Who gave the command.
    pub actor: Actor,
    /// The reason, in the operator's words.
    pub reason: String,
    /// This part's number, from 1, if there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// The fields whose text was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// The first entry of a log that replaces a lost one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossAccepted {
    /// When the operator accepted the loss, RFC 3339. The entry's own time is the start of the new
    /// log.
    pub accepted: String,
    /// The reason, in the operator's words.
    pub reason: String,
    /// Who accepted it.
    pub actor: Actor,
    /// The lost log's name, if known.
    pub old_origin: Option<String>,
    /// The newest known checkpoint of the lost log: the signed note as found.
    pub old_checkpoint: Option<String>,
    /// The folder that holds the rest of the lost log, beside this log's files.
    pub left_in: String,
}
