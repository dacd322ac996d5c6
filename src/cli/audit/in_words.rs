//! Describes a deletion or a proof in words, for people.

use serde::Serialize;
use serde_json::value::RawValue;

use super::fields::{Fields, plain};
use crate::audit::entry::{EntryHead, MAX_REFUSED_USERS, Sent};
use crate::audit::log::to_base64;
use crate::audit::read::prove::{Evidence, MissingPart};
use crate::audit::read::query::{Deletion, Progress};

/// The fields of an entry whose values [`deletion`] contains. If there are [many
/// users](has_many_users), [`deletion`] contains only the number of users.
pub(super) const SAID: [&str; 4] = ["operation", "account", "users", "caller"];
/// The most users that the field `users` lists. More users are listed after the other fields.
const FEW_USERS: usize = 20;

/// Returns the fields that describe a deletion: the caller, the users and the result.
pub(super) fn deletion(deletion: &Deletion) -> Fields {
    let caller = &deletion.caller;
    let users = match has_many_users(deletion) {
        true => format!("{}, listed below", deletion.users.len()),
        false if deletion.users.is_empty() => "-".into(),
        false => deletion.users.join(", "),
    };
    let mut fields = vec![("who", caller.subject.clone())];
    fields.extend(caller.client.clone().map(|client| ("client", client)));
    fields.extend([
        ("issuer", caller.issuer.clone()),
        ("what", deletion.operation.clone()),
        ("users", users),
        ("account", deletion.account.clone()),
        ("result", result(deletion)),
    ]);
    fields
}

pub(super) fn has_many_users(deletion: &Deletion) -> bool {
    deletion.users.len() > FEW_USERS
}

fn result(deletion: &Deletion) -> String {
    let outcome = match deletion.outcome {
        Progress::Open => return "open: no closing entry is at hand".into(),
        Progress::Refused => return format!("{}: the gateway sent nothing", short(deletion)),
        Progress::Closed(_) => short(deletion),
    };
    let answer = match (deletion.sent, deletion.status) {
        (_, Some(status)) => format!("upstream answered {status}"),
        (Some(Sent::No), None) => "the gateway sent nothing".into(),
        _ => "no usable answer came".into(),
    };
    match deletion.is_in_doubt() {
        true => format!("{outcome}: {answer}; the deletion may or may not have happened"),
        false => format!("{outcome}: {answer}"),
    }
}

/// The result in the words of the trail: the outcome, and the reason or the refusal's code if there is
/// one.
fn short(deletion: &Deletion) -> String {
    let outcome = match deletion.outcome {
        Progress::Refused => "refused".into(),
        progress => name(&progress),
    };
    match deletion
        .reason
        .map(|reason| name(&reason))
        .or(deletion.code.clone())
    {
        Some(why) => format!("{outcome} {why}"),
        None => outcome,
    }
}

/// The name of an enum's value in the trail.
pub(super) fn name(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// Makes the fields of a proof: the entries in it, and the limits of the proof.
pub(super) fn proof(proof: &Evidence, origin: &str) -> Fields {
    let mut fields = Fields::new();
    let whole = proof.deletion.as_ref();
    if let Some(of) = whole {
        fields.extend(deletion(of));
        fields.push(("asked", of.time.clone()));
        fields.extend(closed(proof).map(|time| ("closed", time)));
        if of.closing_index.is_some() {
            fields.push(("receipt", format!("{origin}/{}", of.index)));
        }
    } else if let Some(entry) = &proof.entry {
        fields.push(("entry", json_or_text(entry)));
    }
    let place = format!("entry {} of a log of {} entries", proof.index, proof.size);
    fields.extend([("proof", place), ("leaf", to_base64(&proof.leaf))]);
    if let Some(of) = whole.filter(|of| has_many_users(of)) {
        fields.push(("users", of.users.join(", ")));
    }
    let (proves, limits) = reach(proof, origin);
    fields.push(("proves", proves));
    fields.extend(limits.map(|limits| ("not proved", limits)));
    fields.extend(missing(proof, origin));
    fields
}

/// The time of the closing entry, if the proof holds that entry and its intent.
fn closed(proof: &Evidence) -> Option<String> {
    proof.deletion.as_ref()?.closing_index?;
    let head = EntryHead::decode(proof.entry.as_deref()?).ok()?;
    Some(head.time.into_owned())
}

fn json_or_text(entry: &[u8]) -> String {
    match serde_json::from_slice::<&RawValue>(entry) {
        Ok(value) => plain(value),
        Err(_) => String::from_utf8_lossy(entry).into_owned(),
    }
}

/// Returns the texts for the fields `proves` and `not proved`.
fn reach(proof: &Evidence, origin: &str) -> (String, Option<String>) {
    let (index, size) = (proof.index, proof.size);
    let recorded = |what: &str| {
        format!(
            "the log {origin} has recorded {what} as entry {index}, under a checkpoint of {size} entries that the key below has signed"
        )
    };
    let upstream =
        "what upstream did: the entries say what the gateway sent and what upstream answered";
    match (&proof.deletion, proof.missing) {
        (_, Some(MissingPart::Entry)) => (recorded("an entry with this leaf hash"), None),
        (_, Some(MissingPart::Intent)) => (
            recorded("this closing entry"),
            Some("who asked, and for which users: the intent says that".into()),
        ),
        (_, Some(MissingPart::Closing)) => (
            format!(
                "{}: the gateway was about to send it",
                recorded("this intent")
            ),
            Some("whether it was sent, and how it ended: the closing entry says that".into()),
        ),
        (Some(of), None) if of.outcome == Progress::Refused => (recorded("this refusal"), None),
        (Some(of), None) => (
            format!(
                "{}. That entry names its intent, entry {}, by the leaf hash: the intent in this proof is that one, unchanged",
                recorded("how this deletion ended"),
                of.index
            ),
            Some(upstream.into()),
        ),
        (None, None) => (recorded("this entry"), None),
    }
}

/// Makes the fields for the part that a proof lacks: its name, and the command to get it.
fn missing(proof: &Evidence, origin: &str) -> Fields {
    let index = proof.index;
    let (what, receipt) = match proof.missing {
        None => return Fields::new(),
        Some(MissingPart::Entry) => ("the entry: the file has no `extra` line", index.to_string()),
        Some(MissingPart::Intent) => (
            "the intent: it is neither in the proof nor beside it, as FILE.intent",
            index.to_string(),
        ),
        Some(MissingPart::Closing) => ("the closing entry", format!("{origin}/{index}")),
    };
    let command = format!("lychgate audit prove {receipt}");
    vec![("missing", what.into()), ("get it by", command)]
}

/// The last sentence about a proof that holds.
pub(super) fn answer(proof: Option<&Evidence>) -> String {
    let Some((proof, deletion)) = proof.and_then(|p| Some((p, p.deletion.as_ref()?))) else {
        return match proof.and_then(|proof| proof.missing) {
            Some(MissingPart::Intent) => {
                "the proof holds: the log that this key signs has this closing entry; the intent is missing".into()
            }
            _ => "the proof holds: the log that this key signs has this entry".into(),
        };
    };
    let subject = deletion.caller.subject.replace('"', "\\\"");
    let is_refused = deletion.outcome == Progress::Refused;
    let users = match &deletion.users[..] {
        [] => "users".into(),
        [user] => format!("user {user}"),
        users if is_refused && users.len() == MAX_REFUSED_USERS => {
            format!("{} or more users", users.len())
        }
        users => format!("{} users", users.len()),
    };
    let account = &deletion.account;
    let asked = format!("\"{subject}\" asked to delete {users} of account {account}");
    match proof.missing {
        Some(_) => format!("the proof holds: {asked}; the closing entry is missing"),
        None => format!("the proof holds: {asked}; result: {}", short(deletion)),
    }
}
