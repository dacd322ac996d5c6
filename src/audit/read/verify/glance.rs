//! Of an entry, what verifying needs: read where it stands, all else passed over, so that a million
//! entries take seconds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::audit::entry::{Entry, Kind, Reconciled, Sent, Verdict};

/// An entry's time, as it is spelled, and what it says.
#[derive(Debug)]
pub(crate) struct Glance<'e> {
    pub(crate) time: Cow<'e, str>,
    pub(crate) says: Says<'e>,
}

/// What an entry says, as far as other entries depend on it.
#[derive(Debug)]
pub(crate) enum Says<'e> {
    Intent(Intent<'e>),
    Outcome(Outcome<'e>),
    Refused,
    Reconciled(Box<Reconciled>),
    LossAccepted,
    /// How many attempts are summed up.
    TurnedAway(u64),
    /// The clock was stepped, so the next entry's time may lie before this one's.
    ClockStep,
    /// Nothing that others depend on.
    Else,
}

#[derive(Debug)]
pub(crate) struct Intent<'e> {
    pub(crate) request_id: Cow<'e, str>,
    pub(crate) group: Option<String>,
    pub(crate) part: Option<u32>,
    pub(crate) parts: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Outcome<'e> {
    pub(crate) intent: u64,
    pub(crate) leaves: Vec<Cow<'e, str>>,
    pub(crate) request_id: Cow<'e, str>,
    pub(crate) verdict: Verdict,
    pub(crate) sent: Sent,
}

/// The kinds that say nothing others depend on.
const OTHER_KINDS: [&str; 6] = [
    "started",
    "stopped",
    "config",
    "alive",
    "revoked",
    "budget_granted",
];

/// Fields by name; what they mean depends on the kind, so they are read when that is known.
#[derive(Deserialize)]
struct Fields<'e> {
    #[serde(borrow)]
    time: Cow<'e, str>,
    #[serde(borrow)]
    kind: Cow<'e, str>,
    #[serde(borrow)]
    request_id: Option<&'e RawValue>,
    #[serde(borrow)]
    group: Option<&'e RawValue>,
    #[serde(borrow)]
    part: Option<&'e RawValue>,
    #[serde(borrow)]
    parts: Option<&'e RawValue>,
    #[serde(borrow)]
    intent: Option<&'e RawValue>,
    #[serde(borrow)]
    leaves: Option<&'e RawValue>,
    #[serde(borrow)]
    outcome: Option<&'e RawValue>,
    #[serde(borrow)]
    sent: Option<&'e RawValue>,
    #[serde(borrow)]
    unknown_callers: Option<&'e RawValue>,
    #[serde(borrow)]
    known_callers: Option<&'e RawValue>,
    #[serde(borrow)]
    cause: Option<&'e RawValue>,
}

/// Reads an entry.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn glance(bytes: &[u8]) -> Result<Glance<'_>, String> {
    let fields: Fields<'_> = serde_json::from_slice(bytes)
        .map_err(|error| format!("not an entry that this version knows: {error}"))?;
    let says = match &*fields.kind {
        "intent" => Says::Intent(Intent {
            request_id: text("request_id", fields.request_id)?,
            group: maybe("group", fields.group)?,
            part: maybe("part", fields.part)?,
            parts: maybe("parts", fields.parts)?,
        }),
        "outcome" => Says::Outcome(Outcome {
            intent: value("intent", fields.intent)?,
            leaves: texts("leaves", fields.leaves)?,
            request_id: text("request_id", fields.request_id)?,
            verdict: value("outcome", fields.outcome)?,
            sent: value("sent", fields.sent)?,
        }),
        "refused" => Says::Refused,
        "reconciled" | "loss_accepted" => by_command(bytes)?,
        "turned_away" => {
            let unknown = attempts("unknown_callers", fields.unknown_callers)?;
            let known = attempts("known_callers", fields.known_callers)?;
            Says::TurnedAway(unknown.saturating_add(known))
        }
        "trouble" if text("cause", fields.cause)? == "clock" => Says::ClockStep,
        "trouble" => Says::Else,
        kind if OTHER_KINDS.contains(&kind) => Says::Else,
        kind => {
            return Err(format!(
                "not an entry that this version knows: its kind is `{kind}`"
            ));
        }
    };
    Ok(Glance {
        time: fields.time,
        says,
    })
}

/// What a command wrote: rare enough to be read whole.
fn by_command(bytes: &[u8]) -> Result<Says<'_>, String> {
    let entry: Entry = serde_json::from_slice(bytes)
        .map_err(|error| format!("not an entry that this version knows: {error}"))?;
    Ok(match entry.kind {
        Kind::Reconciled(reconciled) => Says::Reconciled(Box::new(reconciled)),
        Kind::LossAccepted(_) => Says::LossAccepted,
        _ => Says::Else,
    })
}

/// A text that may be borrowed even within other types.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'e>(#[serde(borrow)] Cow<'e, str>);

fn value<'e, T: Deserialize<'e>>(name: &str, raw: Option<&'e RawValue>) -> Result<T, String> {
    let raw = raw.ok_or_else(|| format!("it has no `{name}`"))?;
    serde_json::from_str(raw.get()).map_err(|error| format!("its `{name}`: {error}"))
}

fn maybe<'e, T: Deserialize<'e>>(
    name: &str,
    raw: Option<&'e RawValue>,
) -> Result<Option<T>, String> {
    raw.map(|raw| value(name, Some(raw))).transpose()
}

fn text<'e>(name: &str, raw: Option<&'e RawValue>) -> Result<Cow<'e, str>, String> {
    value::<Text<'e>>(name, raw).map(|text| text.0)
}

fn texts<'e>(name: &str, raw: Option<&'e RawValue>) -> Result<Vec<Cow<'e, str>>, String> {
    let texts: Vec<Text<'e>> = value(name, raw)?;
    Ok(texts.into_iter().map(|text| text.0).collect())
}

fn attempts(name: &str, raw: Option<&RawValue>) -> Result<u64, String> {
    let counts: BTreeMap<String, u64> = value(name, raw)?;
    Ok(counts
        .values()
        .fold(0, |all, count| all.saturating_add(*count)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::read::verify::sample::sound;

    #[test]
    fn what_others_depend_on_is_read() {
        let entries = sound();
        let Says::Intent(intent) = glance(&entries[1]).unwrap().says else {
            panic!("no intent");
        };
        assert_eq!((&*intent.request_id, intent.part), ("a", None));
        let Says::Outcome(outcome) = glance(&entries[5]).unwrap().says else {
            panic!("no outcome");
        };
        assert_eq!((outcome.intent, outcome.leaves.len()), (1, 1));
        assert_eq!(outcome.verdict, Verdict::Deleted);
    }

    #[test]
    fn a_text_with_escapes_is_read_too() {
        let text = r#"{"time":"t","kind":"intent","request_id":"a\"b"}"#;
        let Says::Intent(intent) = glance(text.as_bytes()).unwrap().says else {
            panic!("no intent");
        };
        assert_eq!(intent.request_id, "a\"b");
    }

    #[test]
    fn every_kind_of_the_trail_is_known_and_no_other() {
        for kind in OTHER_KINDS {
            let text = format!(r#"{{"time":"t","kind":"{kind}","intent":"any"}}"#);
            assert!(glance(text.as_bytes()).is_ok(), "{kind}");
        }
        let fault = glance(br#"{"time":"t","kind":"undead"}"#).unwrap_err();
        assert!(fault.contains("undead"), "{fault}");
    }

    #[test]
    fn a_field_that_is_missing_or_of_another_type_is_named() {
        for (text, name) in [
            (r#"{"time":"t","kind":"intent"}"#, "request_id"),
            (
                r#"{"time":"t","kind":"intent","request_id":"a","part":"1"}"#,
                "part",
            ),
            (r#"{"time":"t","kind":"outcome","intent":-1}"#, "intent"),
            (r#"{"time":"t","kind":"turned_away"}"#, "unknown_callers"),
            (r#"{"time":"t","kind":"trouble"}"#, "cause"),
        ] {
            let fault = glance(text.as_bytes()).unwrap_err();
            assert!(fault.contains(&format!("`{name}`")), "{fault}");
        }
    }
}
