//! The head of an entry: its time and the fields that other entries depend on. The decoder skips
//! everything else, so that a million entries take seconds.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Entry, Kind, Reconciled, Sent, Verdict, not_an_entry};

/// An entry's time, in its own spelling, and its summary.
#[derive(Debug)]
pub(crate) struct EntryHead<'e> {
    pub(crate) time: Cow<'e, str>,
    pub(crate) summary: EntrySummary<'e>,
}

#[derive(Debug)]
pub(crate) enum EntrySummary<'e> {
    Intent(IntentSummary<'e>),
    Outcome(OutcomeSummary<'e>),
    Refused,
    Reconciled(Box<Reconciled>),
    LossAccepted,
    /// How many attempts it sums up.
    TurnedAway(u64),
    /// The clock was stepped, so the next entry's time may be earlier than this one's.
    ClockStep,
    /// Nothing that other entries depend on.
    Else,
    Unknown(Cow<'e, str>),
}

#[derive(Debug)]
pub(crate) struct IntentSummary<'e> {
    pub(crate) request_id: Cow<'e, str>,
    pub(crate) group: Option<String>,
    pub(crate) part: Option<u32>,
    pub(crate) parts: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct OutcomeSummary<'e> {
    pub(crate) intent: u64,
    pub(crate) leaves: Vec<Cow<'e, str>>,
    pub(crate) request_id: Cow<'e, str>,
    pub(crate) verdict: Verdict,
    pub(crate) sent: Sent,
}

impl IntentSummary<'_> {
    /// The index of the deletion's first intent, if this part has the given index.
    pub(crate) fn first(&self, index: u64) -> u64 {
        let before = self.part.unwrap_or(1).saturating_sub(1);
        index.saturating_sub(before.into())
    }
}

impl EntrySummary<'_> {
    /// The first intent of the deletion that an entry with this index belongs to.
    pub(crate) fn deletion(&self, index: u64) -> Option<u64> {
        match self {
            Self::Intent(intent) => Some(intent.first(index)),
            Self::Outcome(outcome) => Some(outcome.intent),
            Self::Reconciled(read_back) => Some(read_back.intent),
            _ => None,
        }
    }
}

/// The other kinds without anything that entries depend on.
const OTHER_KINDS: [&str; 6] = [
    "started",
    "stopped",
    "config",
    "alive",
    "revoked",
    "budget_granted",
];

/// Fields by name. Their types depend on the kind, so the decoder reads them afterwards.
#[derive(Deserialize)]
struct Fields<'e> {
    #[serde(borrow)]
    time: Cow<'e, str>,
    #[serde(borrow)]
    kind: Cow<'e, str>,
    request_id: Option<&'e RawValue>,
    group: Option<&'e RawValue>,
    part: Option<&'e RawValue>,
    parts: Option<&'e RawValue>,
    intent: Option<&'e RawValue>,
    leaves: Option<&'e RawValue>,
    outcome: Option<&'e RawValue>,
    sent: Option<&'e RawValue>,
    unknown_callers: Option<&'e RawValue>,
    known_callers: Option<&'e RawValue>,
    cause: Option<&'e RawValue>,
}

impl<'e> EntryHead<'e> {
    pub(crate) fn decode(bytes: &'e [u8]) -> Result<Self, String> {
        let fields: Fields<'e> = serde_json::from_slice(bytes).map_err(|e| not_an_entry(&e))?;
        let summary = match &*fields.kind {
            "intent" => EntrySummary::Intent(IntentSummary {
                request_id: text("request_id", fields.request_id)?,
                group: maybe("group", fields.group)?,
                part: maybe("part", fields.part)?,
                parts: maybe("parts", fields.parts)?,
            }),
            "outcome" => EntrySummary::Outcome(OutcomeSummary {
                intent: value("intent", fields.intent)?,
                leaves: texts("leaves", fields.leaves)?,
                request_id: text("request_id", fields.request_id)?,
                verdict: value("outcome", fields.outcome)?,
                sent: value("sent", fields.sent)?,
            }),
            "refused" => EntrySummary::Refused,
            "reconciled" | "loss_accepted" => by_command(bytes)?,
            "turned_away" => {
                let unknown = attempts("unknown_callers", fields.unknown_callers)?;
                let known = attempts("known_callers", fields.known_callers)?;
                EntrySummary::TurnedAway(unknown.saturating_add(known))
            }
            "trouble" if text("cause", fields.cause)? == "clock" => EntrySummary::ClockStep,
            "trouble" => EntrySummary::Else,
            kind if OTHER_KINDS.contains(&kind) => EntrySummary::Else,
            _ => EntrySummary::Unknown(fields.kind),
        };
        Ok(Self {
            time: fields.time,
            summary,
        })
    }
}

/// Decodes an entry of a command whole; these are rare.
fn by_command(bytes: &[u8]) -> Result<EntrySummary<'_>, String> {
    Ok(match Entry::decode(bytes)?.kind {
        Kind::Reconciled(reconciled) => EntrySummary::Reconciled(Box::new(reconciled)),
        Kind::LossAccepted(_) => EntrySummary::LossAccepted,
        _ => EntrySummary::Else,
    })
}

/// A text that is borrowed if possible, even inside other types.
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

    fn summary(bytes: &[u8]) -> EntrySummary<'_> {
        EntryHead::decode(bytes).unwrap().summary
    }

    #[test]
    fn the_fields_that_other_entries_depend_on_are_read() {
        let entries = sound();
        let EntrySummary::Intent(intent) = summary(&entries[1]) else {
            panic!("no intent");
        };
        assert_eq!((&*intent.request_id, intent.part), ("a", None));
        let EntrySummary::Outcome(outcome) = summary(&entries[5]) else {
            panic!("no outcome");
        };
        assert_eq!((outcome.intent, outcome.leaves.len()), (1, 1));
        assert_eq!(outcome.verdict, Verdict::Deleted);
    }

    #[test]
    fn a_text_with_escapes_is_read_too() {
        let text = r#"{"time":"t","kind":"intent","request_id":"a\"b"}"#;
        let EntrySummary::Intent(intent) = summary(text.as_bytes()) else {
            panic!("no intent");
        };
        assert_eq!(intent.request_id, "a\"b");
    }

    #[test]
    fn exactly_the_trails_kinds_are_known() {
        for kind in OTHER_KINDS {
            let text = format!(r#"{{"time":"t","kind":"{kind}","intent":"any"}}"#);
            let known = summary(text.as_bytes());
            assert!(matches!(known, EntrySummary::Else), "{kind}");
        }
        let other = summary(br#"{"time":"t","kind":"undead"}"#);
        assert!(matches!(other, EntrySummary::Unknown(kind) if kind == "undead"));
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
            let fault = EntryHead::decode(text.as_bytes()).unwrap_err();
            assert!(fault.contains(&format!("`{name}`")), "{fault}");
        }
    }
}
