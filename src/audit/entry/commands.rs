//! What a command wrote into the trail: that a user was read back, that a loss was accepted.

use serde::{Deserialize, Serialize};

use super::Cuts;

/// Who gave a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The user id of the process that asked, as the system says it.
    pub uid: u32,
}

/// What reading a user back said, best first: the worst of a batch's users is the deletion's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Upstream says twice that the user is absent; not by whose doing.
    Deleted,
    /// Upstream says twice that the user is there.
    StillThere,
    /// Anything else, or two answers that differ.
    CannotTell,
}

/// One user who was read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFound {
    /// The user, in decimal.
    pub user: String,
    /// What two reads said.
    pub result: Found,
    /// Upstream's status at the last read; `None` where it did not answer.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` then.
    pub revision: Option<String>,
}

/// A deletion of unknown end whose users were read back; where one entry is too small, several in a
/// row, of which the last makes it whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciled {
    /// Index of the (first) intent.
    pub intent: u64,
    /// The request's id.
    pub request_id: String,
    /// The worst of all its users' results.
    pub result: Found,
    /// Upstream's status at the last read of the first user with that result.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` then.
    pub revision: Option<String>,
    /// Host and port that were asked: those of the intent's `domain`.
    pub host: String,
    /// This part's users, in the intent's order.
    pub users: Vec<UserFound>,
    /// Who asked for it.
    pub actor: Actor,
    /// Why, in the operator's words.
    pub reason: String,
    /// This part, from 1, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// What was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// The first entry of a log that was begun because another was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossAccepted {
    /// When it was accepted, RFC 3339; the entry's own time is when the new log began.
    pub accepted: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who accepted it.
    pub actor: Actor,
    /// The lost log's name, where it is known.
    pub old_origin: Option<String>,
    /// Its newest known checkpoint, the signed note as it was found.
    pub old_checkpoint: Option<String>,
    /// The folder, beside this log's files, that holds what was left of it.
    pub left_in: String,
}
