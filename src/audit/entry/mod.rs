//! What stands in the trail: one JSON object an entry, at most [`MAX_BYTES`] long.
//!
//! The shapes here are final: readers of any age must understand them. A text
//! that comes from outside is kept up to [`MAX_TEXT_BYTES`]; where it was longer,
//! `cut` holds its length and SHA-256 under the field's name.

pub mod compose;
pub(crate) mod refusal_rate_limit;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod commands;
mod head;
mod spelling;

pub use commands::{Actor, Found, LossAccepted, Reconciled, UserFound};
pub(crate) use head::{EntryHead, EntrySummary, IntentSummary, OutcomeSummary};
pub use spelling::{Needle, Spelled};

/// No entry is longer than this.
pub const MAX_BYTES: usize = 48_000;
/// A text of a caller, a token or upstream is kept up to this length.
pub const MAX_TEXT_BYTES: usize = 256;
/// A `refused` entry names at most this many users.
pub const MAX_REFUSED_USERS: usize = 20;

/// Who the validated token says is calling.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The client claim, where there is one.
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
    /// The id the caller gets as `x-request-id`.
    pub request_id: String,
    /// The contract's name for what is done.
    pub operation: String,
    /// The account in the path.
    pub account: String,
    /// The users to be deleted, each in decimal.
    pub users: Vec<String>,
    /// Who asked.
    pub caller: Caller,
    /// `jti`, or else SHA-256 of the token's `header.payload` in hexadecimal.
    pub token_id: String,
    /// The `If-Match` as it came.
    pub if_match: Option<String>,
    /// The origin it goes to.
    pub domain: String,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// The rule that allowed it, where rules decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What the parts of one deletion share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// This part, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// How many parts there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<u32>,
    /// What was cut.
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
    /// Bytes left and no answer that counts came.
    Unknown,
}

impl Verdict {
    /// Whether the deletion may or may not have happened: `unknown`, or `failed` after something was sent.
    #[must_use]
    pub fn leaves_doubt(self, sent: Sent) -> bool {
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
    /// What came was no answer.
    Protocol,
    /// The gateway died.
    Crash,
    /// The gateway was told to stop.
    Drain,
    /// A defect of the gateway.
    Internal,
}

/// Whether anything left for upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sent {
    /// Not a byte left.
    No,
    /// An answer's head came.
    Yes,
    /// Bytes left and no answer's head came.
    Unknown,
}

/// What is known when a deletion ends; the writer adds which intent it closes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How it ended.
    pub outcome: Verdict,
    /// Why it is unknown, where it is.
    pub reason: Option<Reason>,
    /// Whether anything left.
    pub sent: Sent,
    /// Upstream's status.
    pub status: Option<u16>,
    /// Upstream's `ac-revision`.
    pub revision: Option<String>,
    /// How often it was tried on a connection; more than 1 only where no byte had left before.
    pub attempts: u32,
}

/// The entry that closes an intent and all of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Index of the (first) intent.
    pub intent: u64,
    /// RFC 6962 leaf hash of every part's intent, base64, in order.
    pub leaves: Vec<String>,
    /// The request's id.
    pub request_id: String,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// What was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// A known caller's deletion that the gateway refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// The request's id.
    pub request_id: String,
    /// The contract's name for what was asked.
    pub operation: String,
    /// The account in the path, as it came.
    pub account: String,
    /// At most [`MAX_REFUSED_USERS`] of the users named.
    pub users: Vec<String>,
    /// How many were named, where known.
    pub user_count: u64,
    /// SHA-256 of the body in hexadecimal, where one was read.
    pub body_sha256: Option<String>,
    /// Who asked.
    pub caller: Caller,
    /// As in an intent.
    pub token_id: String,
    /// The `If-Match` as it came.
    pub if_match: Option<String>,
    /// The origin, where it was known by then.
    pub domain: Option<String>,
    /// The caller's address.
    pub client_ip: String,
    /// Hash of the config in force.
    pub config: String,
    /// The refusal's code.
    pub code: String,
    /// The rule that denied it, where rules decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// What was cut.
    #[serde(default, skip_serializing_if = "Cuts::is_empty")]
    pub cut: Cuts,
}

/// Refusals summed up: of callers who are not known, and of known ones past their bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TurnedAway {
    /// From when, RFC 3339.
    pub since: String,
    /// Attempts at a deletion by callers who are not known, by refusal code.
    pub unknown_callers: BTreeMap<String, u64>,
    /// Refused deletions of known callers that have no entry of their own, by refusal code.
    pub known_callers: BTreeMap<String, u64>,
    /// The known callers among them with most refusals, at most 20.
    pub callers: Vec<CallerCount>,
}

/// A caller and a count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerCount {
    /// Who.
    pub caller: Caller,
    /// How many.
    pub count: u64,
}

/// A writer began: what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// The program's version.
    pub version: String,
    /// Open intents that recovery closed.
    pub recovered: u64,
}

/// The config that is in force from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigInForce {
    /// Hash over the file and every contract.
    pub config: String,
    /// Hash of each contract by its name.
    pub contracts: BTreeMap<String, String>,
}

/// Something was wrong with the trail or its clock, or has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// A [`crate::audit::status::Cause`] by name, or `clock`.
    pub cause: String,
    /// `began` or `ended`, or `noted` where it closed nothing.
    pub state: String,
    /// When it began, RFC 3339.
    pub since: String,
    /// Deletions refused meanwhile.
    pub refused: u64,
    /// What was seen, for people.
    pub detail: String,
}

/// What an entry says, by its `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// Before the first upstream byte.
    Intent(Intent),
    /// Before the caller sees the answer.
    Outcome(Outcome),
    /// A known caller's refused deletion.
    Refused(Refused),
    /// Refusals summed up.
    TurnedAway(TurnedAway),
    /// A writer began.
    Started(Started),
    /// A writer ended in order.
    Stopped {},
    /// The config in force.
    Config(ConfigInForce),
    /// Trouble with the trail or its clock.
    Trouble(Trouble),
    /// The log is idle and alive.
    Alive {},
    /// The users of a deletion of unknown end were read back.
    Reconciled(Reconciled),
    /// The first entry after a loss that somebody accepted.
    LossAccepted(LossAccepted),
}

/// One entry: when, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// RFC 3339, UTC, microseconds.
    pub time: String,
    /// What happened.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Entry {
    /// The bytes that stand in the log.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The id of the request that it is of, if it is of one.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match &self.kind {
            Kind::Intent(intent) => Some(&intent.request_id),
            Kind::Outcome(outcome) => Some(&outcome.request_id),
            Kind::Refused(refused) => Some(&refused.request_id),
            Kind::Reconciled(read_back) => Some(&read_back.request_id),
            _ => None,
        }
    }

    /// Decodes a whole entry.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| not_an_entry(&error))
    }

    /// Decodes a whole entry that gives the same bytes if encoded again: so no bit is without meaning.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode_exact(bytes: &[u8]) -> Result<Self, String> {
        let entry = Self::decode(bytes)?;
        match entry.to_bytes() == bytes {
            true => Ok(entry),
            false => Err("encoded again it gives other bytes".into()),
        }
    }
}

fn not_an_entry(error: &serde_json::Error) -> String {
    format!("not an entry that this version knows: {error}")
}

/// The ending of an intent of which nothing was sent.
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

/// The ending of an intent of which nobody can say what became.
pub(crate) fn unknown(reason: Reason) -> Ending {
    Ending {
        outcome: Verdict::Unknown,
        reason: Some(reason),
        sent: Sent::Unknown,
        status: None,
        revision: None,
        attempts: 0,
    }
}
