//! The trail's entries: one JSON object each, at most [`MAX_BYTES`] long.
//!
//! The format of each kind of entry is final, because other versions of Lychgate must be able to read the
//! entries. An entry keeps at most [`MAX_TEXT_BYTES`] of a text from outside. If a text was longer, `cut`
//! holds the length and the SHA-256 of the whole text under the field's name.

pub(crate) mod compose;
mod head;
pub(crate) mod refusal_rate_limit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use head::{EntryHead, EntrySummary, IntentSummary, Needle, OutcomeSummary, Spelled};

/// The maximum length of an entry in bytes.
pub(crate) const MAX_BYTES: usize = 48_000;
/// An entry keeps at most this many bytes of a text from a caller, a token or upstream.
pub(crate) const MAX_TEXT_BYTES: usize = 256;
/// A `refused` entry names at most this many users.
pub(crate) const MAX_REFUSED_USERS: usize = 20;

/// The caller of a request, according to the validated token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The token's `iss` claim.
    pub issuer: String,
    /// The token's `sub` claim.
    pub subject: String,
    /// The value of the client claim, if the token has this claim.
    pub client: Option<String>,
}

/// The length and the digest of a text that was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The length of the whole text in bytes.
    pub bytes: u64,
    /// The SHA-256 of the whole text, in lower-case hexadecimal.
    pub sha256: String,
}

/// The cut texts, by the name of the field (for example `caller.subject`).
pub type Cuts = BTreeMap<String, Cut>;

/// A deletion that Lychgate is about to send to upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The id that the caller gets as `x-request-id`.
    pub request_id: String,
    /// The contract's name for the operation.
    pub operation: String,
    /// The account in the path.
    pub account: String,
    /// The users to delete, each in decimal.
    pub users: Vec<String>,
    /// The caller who sent the request.
    pub caller: Caller,
    /// The token's `jti` claim. If the token has no `jti`, the SHA-256 of its `header.payload` in
    /// hexadecimal.
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The origin that Lychgate sends the request to.
    pub domain: String,
    /// The caller's address.
    pub client_ip: String,
    /// The hash of the config in force.
    pub config: String,
    /// The rule that allowed the deletion, if the config has rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The id that all parts of one deletion share; absent if the deletion has only one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// This part's number, from 1; absent if the deletion has only one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The number of parts; absent if the deletion has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// The length and the digest of each text that was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// How a deletion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Upstream answered 2xx.
    Deleted,
    /// Upstream answered 404.
    NotFound,
    /// Upstream answered 3xx or 4xx, but not 404.
    Rejected,
    /// Upstream answered 5xx, or Lychgate sent no byte.
    Failed,
    /// Lychgate sent bytes, or may have sent bytes, and received no valid answer.
    Unknown,
}

impl Verdict {
    /// Whether it is uncertain if the deletion happened: true for `unknown`, and for `failed` if Lychgate
    /// sent bytes or may have sent bytes.
    pub(crate) fn leaves_doubt(self, sent: Sent) -> bool {
        match self {
            Self::Unknown => true,
            Self::Failed => sent != Sent::No,
            _ => false,
        }
    }
}

/// Why an outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Upstream did not answer in time.
    Timeout,
    /// The connection ended before upstream answered.
    ConnectionLost,
    /// Upstream's bytes were not a valid answer.
    Protocol,
    /// The gateway crashed.
    Crash,
    /// The gateway stopped and could not wait for the answer.
    Drain,
    /// A defect in the gateway ended the request.
    Internal,
}

/// Whether the request reached upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Lychgate sent no byte.
    No,
    /// Upstream answered: it sent at least the head of an answer.
    Yes,
    /// Lychgate sent bytes, or may have sent bytes, and received no head of an answer.
    Unknown,
}

/// How a deletion ended. The writer records this in an [`Outcome`], which also identifies the deletion's
/// intents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The verdict on the deletion.
    pub outcome: Verdict,
    /// The reason, if the outcome is unknown.
    pub reason: Option<Reason>,
    /// Whether the request reached upstream.
    pub sent: Sent,
    /// The HTTP status of upstream's answer.
    pub status: Option<u16>,
    /// The `ac-revision` header of upstream's answer.
    pub revision: Option<String>,
    /// The number of connections that Lychgate tried. Lychgate tries another connection only if it has
    /// not yet sent any byte of the request.
    pub attempts: u32,
}

/// The entry that closes a deletion: one entry, even if the deletion has several parts and so several
/// intents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The index of the deletion's intent, or of its first intent if the deletion has several parts.
    pub intent: u64,
    /// The RFC 6962 leaf hash of the intent of each part, in base64, in the order of the parts.
    pub leaves: Vec<String>,
    /// The request's id.
    pub request_id: String,
    /// How the deletion ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// The length and the digest of each text that was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// A deletion by a known caller that the gateway refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The request's id.
    pub request_id: String,
    /// The contract's name for the operation.
    pub operation: String,
    /// The account in the path, as received.
    pub account: String,
    /// The first users in the request, at most [`MAX_REFUSED_USERS`].
    pub users: Vec<String>,
    /// The number of users that the request named, as far as the gateway had read the request.
    pub user_count: u64,
    /// The SHA-256 of the request's body in hexadecimal, if the gateway had read a body.
    pub body_sha256: Option<String>,
    /// The caller who sent the request.
    pub caller: Caller,
    /// Same as [`Intent::token_id`].
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The origin for the request, if the gateway had already chosen one.
    pub domain: Option<String>,
    /// The caller's address.
    pub client_ip: String,
    /// The hash of the config in force.
    pub config: String,
    /// The refusal's code.
    pub code: String,
    /// The rule that denied the deletion, if the config has rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The length and the digest of each text that was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// Counts of the refusals that have no entry of their own: all refusals of unknown callers, and those
/// refusals of known callers that exceeded the rate limit or found no room in the write queue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnedAway {
    /// The time of the first refusal in these counts, RFC 3339.
    pub since: String,
    /// For each refusal code, the number of refused deletions by unknown callers.
    pub unknown_callers: BTreeMap<String, u64>,
    /// For each refusal code, the number of refused deletions by known callers, without those that have
    /// an entry of their own.
    pub known_callers: BTreeMap<String, u64>,
    /// The known callers with the most refusals in these counts, at most 20.
    pub callers: Vec<CallerCount>,
}

/// A known caller and the number of this caller's refusals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerCount {
    /// The caller.
    pub caller: Caller,
    /// The number of refusals.
    pub count: u64,
}

/// The start of a writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The program's version.
    pub version: String,
    /// The number of open intents that recovery closed.
    pub recovered: u64,
}

/// The config in force from this entry on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigInForce {
    /// The hash of the config file and all its contracts.
    pub config: String,
    /// The hash of each contract, by the contract's name.
    pub contracts: BTreeMap<String, String>,
}

/// The start or the end of trouble with the trail or the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// The name of a [`crate::audit::status::Cause`], or `clock`.
    pub cause: String,
    /// `began` or `ended` if the gateway refused deletions because of the trouble. Otherwise `noted`.
    pub state: String,
    /// When the trouble began, RFC 3339.
    pub since: String,
    /// The number of deletions that the gateway refused during the trouble; 0 if `state` is `began`.
    pub refused: u64,
    /// A description for people.
    pub detail: String,
}

/// The operator who gave a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Actor {
    /// The user id of the process that gave the command, as the kernel reports it.
    pub uid: u32,
}

/// The result of a read-back. The variants are in order from the best to the worst, and a deletion has
/// the worst result of its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// In both reads, upstream answered 404 or showed the user as deleted. The reads do not show who
    /// deleted the user.
    Deleted,
    /// In both reads, upstream still had the user.
    StillThere,
    /// The two reads had different results, or a read had no clear result.
    CannotTell,
}

/// The result of the read-back of one user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFound {
    /// The user, in decimal.
    pub user: String,
    /// The result of both reads, taken together.
    pub result: Found,
    /// Upstream's status at the last read; `None` if upstream did not answer.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` header at the last read.
    pub revision: Option<String>,
}

/// The read-back of a deletion with an unknown outcome: Lychgate reads each user of the deletion from
/// upstream, twice. A read-back that is too long for one entry is split into parts. Each part has an entry
/// of its own, and these entries are consecutive. The last part completes the read-back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciled {
    /// The index of the deletion's intent, or of its first intent if the deletion has several parts.
    pub intent: u64,
    /// The request's id.
    pub request_id: String,
    /// The worst result of all users of the deletion.
    pub result: Found,
    /// Upstream's status at the last read of the first user that has the worst result.
    pub status: Option<u16>,
    /// Upstream's `ac-revision` header at the read that `status` comes from.
    pub revision: Option<String>,
    /// The host and port that Lychgate read the users from, in the form of the intent's `domain`.
    pub host: String,
    /// The users of this part, in the order of the intent.
    pub users: Vec<UserFound>,
    /// The operator who gave the command.
    pub actor: Actor,
    /// The operator's reason for the read-back, in free text.
    pub reason: String,
    /// This part's number, from 1; absent if the read-back has only one part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The number of parts; absent if the read-back has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// The length and the digest of each text that was cut.
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
    /// The operator's reason for accepting the loss, in free text.
    pub reason: String,
    /// The operator who accepted the loss.
    pub actor: Actor,
    /// The lost log's name, if known.
    pub old_origin: Option<String>,
    /// The newest known checkpoint of the lost log: the signed note exactly as Lychgate found it.
    pub old_checkpoint: Option<String>,
    /// The name of the folder that holds the remaining files of the lost log. This folder is in the audit
    /// folder.
    pub left_in: String,
}

/// An entry's content, by its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A deletion. The entry is durable before Lychgate sends the first byte to upstream.
    Intent(Intent),
    /// The end of a deletion. The entry is durable before the caller gets the answer.
    Outcome(Outcome),
    /// A refused deletion by a known caller.
    Refused(Refused),
    /// Counts of the refusals that have no entry of their own.
    TurnedAway(TurnedAway),
    /// The start of a writer.
    Started(Started),
    /// An orderly stop of a writer.
    Stopped {},
    /// The config in force from this entry on.
    Config(ConfigInForce),
    /// Trouble with the trail or the clock.
    Trouble(Trouble),
    /// A heartbeat while the log is idle.
    Alive {},
    /// The read-back of a deletion with an unknown outcome.
    Reconciled(Reconciled),
    /// The first entry of a log that replaces a lost one.
    LossAccepted(LossAccepted),
}

/// An entry of the log: a time and the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The time of the entry: RFC 3339, in UTC, with microseconds.
    pub time: String,
    /// The content, which depends on the entry's kind.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Entry {
    /// The entry's bytes in the log.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // This cannot fail: strings, numbers and maps with string keys always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The request's id, if the entry belongs to a request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Intent(intent) => Some(&intent.request_id),
            Kind::Outcome(outcome) => Some(&outcome.request_id),
            Kind::Refused(refused) => Some(&refused.request_id),
            Kind::Reconciled(read_back) => Some(&read_back.request_id),
            _ => None,
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| not_an_entry(&error))
    }

    /// Decodes an entry, and checks that encoding the result gives the same bytes. So the bytes contain
    /// nothing that the decoded entry lacks.
    pub(crate) fn decode_exact(bytes: &[u8]) -> Result<Self, String> {
        let entry = Self::decode(bytes)?;
        match entry.to_bytes() == bytes {
            true => Ok(entry),
            false => Err("its bytes are not those of its canonical encoding".into()),
        }
    }
}

fn not_an_entry(error: &serde_json::Error) -> String {
    format!("not an entry that this version knows: {error}")
}

/// The ending of an intent whose request was never sent.
pub(crate) fn not_sent() -> Ending {
    Ending {
        outcome: Verdict::Failed,
        reason: None,
        sent: Sent::No,
        status: None,
        revision: None,
        attempts: 0,
    }
}

/// The ending of an intent whose outcome is unknown.
pub(crate) fn unknown(reason: Reason) -> Ending {
    Ending {
        outcome: Verdict::Unknown,
        reason: Some(reason),
        sent: Sent::Unknown,
        ..not_sent()
    }
}
