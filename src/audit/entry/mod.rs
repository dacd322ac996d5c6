//! The trail's entries: one JSON object each, at most [`MAX_BYTES`] long.
//!
//! These formats are final: readers of any age must understand them. An entry keeps at most
//! [`MAX_TEXT_BYTES`] of a text from outside. If the text was longer, `cut` holds its length and
//! SHA-256 under the field's name.

pub(crate) mod compose;
mod head;
pub(crate) mod refusal_rate_limit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use head::{EntryHead, EntrySummary, IntentSummary, Needle, OutcomeSummary, Spelled};

/// The maximal length of an entry.
pub(crate) const MAX_BYTES: usize = 48_000;
/// An entry keeps at most this much of a text from a caller, a token or upstream.
pub(crate) const MAX_TEXT_BYTES: usize = 256;
/// A `refused` entry names at most this many users.
pub(crate) const MAX_REFUSED_USERS: usize = 20;

/// The caller, according to the validated token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The client claim, if the token has one.
    pub client: Option<String>,
}

/// Length and digest of a text that was cut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Bytes of the whole text.
    pub bytes: u64,
    /// SHA-256 of the whole text, lower-case hexadecimal.
    pub sha256: String,
}

/// The fields that were cut, by name (`caller.subject`).
pub type Cuts = BTreeMap<String, Cut>;

/// A deletion that is about to be sent.
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
    /// Who asked.
    pub caller: Caller,
    /// `jti`, or SHA-256 of the token's `header.payload` in hexadecimal if it has none.
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The origin that gets the request.
    pub domain: String,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// The rule that allowed it, if the config has rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The same for all parts of one deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// This part's number, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// The fields whose text was cut.
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
    /// Upstream answered any other 3xx or 4xx.
    Rejected,
    /// Upstream answered 5xx, or nothing was sent.
    Failed,
    /// Lychgate sent bytes and received no valid answer.
    Unknown,
}

impl Verdict {
    /// Whether the deletion may or may not have happened: `unknown`, or `failed` after bytes were
    /// sent.
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
    /// No answer in time.
    Timeout,
    /// The connection ended first.
    ConnectionLost,
    /// Upstream's bytes were not a valid answer.
    Protocol,
    /// The gateway crashed.
    Crash,
    /// The gateway was stopping.
    Drain,
    /// A defect in the gateway.
    Internal,
}

/// Whether Lychgate sent anything to upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Lychgate sent no byte.
    No,
    /// Upstream sent the head of an answer.
    Yes,
    /// Lychgate sent bytes and received no head of an answer.
    Unknown,
}

/// How a deletion ended; the writer adds the intent that it closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The outcome.
    pub outcome: Verdict,
    /// The reason, if the outcome is unknown.
    pub reason: Option<Reason>,
    /// Whether Lychgate sent anything.
    pub sent: Sent,
    /// Upstream's status.
    pub status: Option<u16>,
    /// Upstream's `ac-revision`.
    pub revision: Option<String>,
    /// On how many connections Lychgate tried; it tries another only if it sent no byte before.
    pub attempts: u32,
}

/// The entry that closes an intent and all of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The index of the (first) intent.
    pub intent: u64,
    /// RFC 6962 leaf hash of every part's intent, base64, in order.
    pub leaves: Vec<String>,
    /// The request's id.
    pub request_id: String,
    /// How the deletion ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// The fields whose text was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// A known caller's deletion that the gateway refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The request's id.
    pub request_id: String,
    /// The contract's name for the operation.
    pub operation: String,
    /// The account in the path, as received.
    pub account: String,
    /// At most [`MAX_REFUSED_USERS`] of the users in the request.
    pub users: Vec<String>,
    /// How many users the request named, as far as known.
    pub user_count: u64,
    /// SHA-256 of the body in hexadecimal, if the gateway read one.
    pub body_sha256: Option<String>,
    /// Who asked.
    pub caller: Caller,
    /// Same as [`Intent::token_id`].
    pub token_id: String,
    /// The value of `If-Match` as received.
    pub if_match: Option<String>,
    /// The origin, if the gateway had chosen one.
    pub domain: Option<String>,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// The refusal's code.
    pub code: String,
    /// The rule that denied it, if the config has rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The fields whose text was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// A sum of refusals: those of unknown callers, and those of known callers past the rate limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnedAway {
    /// The start of the sum, RFC 3339.
    pub since: String,
    /// Attempts at a deletion by unknown callers, by refusal code.
    pub unknown_callers: BTreeMap<String, u64>,
    /// Refused deletions of known callers without entries of their own, by refusal code.
    pub known_callers: BTreeMap<String, u64>,
    /// The known callers with the most of these refusals, at most 20.
    pub callers: Vec<CallerCount>,
}

/// A caller and a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerCount {
    /// The caller.
    pub caller: Caller,
    /// The count.
    pub count: u64,
}

/// The start of a writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The program's version.
    pub version: String,
    /// How many open intents recovery closed.
    pub recovered: u64,
}

/// The config in force from this entry on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigInForce {
    /// The hash over the file and every contract.
    pub config: String,
    /// The hash of each contract by its name.
    pub contracts: BTreeMap<String, String>,
}

/// The start or the end of trouble with the trail or its clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// A [`crate::audit::status::Cause`] by name, or `clock`.
    pub cause: String,
    /// `began` or `ended`, or `noted` if it did not refuse deletions.
    pub state: String,
    /// When the trouble began, RFC 3339.
    pub since: String,
    /// Deletions refused meanwhile.
    pub refused: u64,
    /// A description for people.
    pub detail: String,
}

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
    /// The host and port that the read-back asked, as in the intent's `domain`.
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

/// An entry's content, by its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Precedes the first byte to upstream.
    Intent(Intent),
    /// Precedes the answer to the caller.
    Outcome(Outcome),
    /// A known caller's refused deletion.
    Refused(Refused),
    /// A sum of refusals.
    TurnedAway(TurnedAway),
    /// The start of a writer.
    Started(Started),
    /// An orderly stop of a writer.
    Stopped {},
    /// The config in force.
    Config(ConfigInForce),
    /// Trouble with the trail or its clock.
    Trouble(Trouble),
    /// A sign of life from an idle log.
    Alive {},
    /// The read-back of a deletion with an unknown outcome.
    Reconciled(Reconciled),
    /// The first entry after an operator accepted a loss.
    LossAccepted(LossAccepted),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// RFC 3339, UTC, microseconds.
    pub time: String,
    /// The content.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Entry {
    /// The entry's bytes in the log.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys always have a JSON form.
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

    /// Decodes an entry and checks that encoding it gives the same bytes, so that no changed bit
    /// goes unnoticed.
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
