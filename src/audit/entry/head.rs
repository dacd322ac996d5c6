//! Reads parts of an entry, because decoding every entry of a large log would take too long.
//! [`EntryHead`] has the fields that other entries depend on. With [`Spelled`] and [`Needle`], a search
//! skips most entries without decoding them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Entry, Kind, Reconciled, Sent, Verdict, not_an_entry};

/// The time of an entry, exactly as the entry spells it, and a summary of the entry.
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
    /// The number of refusals that the entry counts.
    TurnedAway(u64),
    /// A note that the clock was stepped. The next entry may have an earlier time than this entry.
    ClockStep,
    /// An entry of a known kind that no other entry depends on.
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
    /// The index of the deletion's first intent. `index` is the index of this part's own intent.
    pub(crate) fn first(&self, index: u64) -> u64 {
        let before = self.part.unwrap_or(1).saturating_sub(1);
        index.saturating_sub(before.into())
    }
}

impl EntrySummary<'_> {
    /// The index of the first intent of the deletion that this entry belongs to. `index` is the entry's
    /// own index.
    pub(crate) fn deletion(&self, index: u64) -> Option<u64> {
        match self {
            Self::Intent(intent) => Some(intent.first(index)),
            Self::Outcome(outcome) => Some(outcome.intent),
            Self::Reconciled(read_back) => Some(read_back.intent),
            _ => None,
        }
    }
}

/// The kinds that [`EntryHead::decode`] only has to recognize, because no other entry depends on them.
const OTHER_KINDS: [&str; 6] = [
    "started",
    "stopped",
    "config",
    "alive",
    "revoked",
    "budget_granted",
];

/// The fields of an entry, most of them as raw JSON. The type of a field depends on the entry's kind, so
/// [`EntryHead::decode`] parses the raw fields only when it knows the kind.
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
            // Entries of these two kinds are rare, because each needs a command of an operator. So decoding
            // them whole costs little.
            "reconciled" | "loss_accepted" => match Entry::decode(bytes)?.kind {
                Kind::Reconciled(reconciled) => EntrySummary::Reconciled(Box::new(reconciled)),
                Kind::LossAccepted(_) => EntrySummary::LossAccepted,
                _ => EntrySummary::Else,
            },
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

/// A text that serde borrows from the input if possible. Inside other types, serde would always copy a
/// plain `Cow`.
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
    Ok(counts.into_values().fold(0, u64::saturating_add))
}

/// The first fields of an entry, read without a JSON decoder. The entry must begin exactly as the writer
/// spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spelled<'e> {
    /// The value of `time`. All times have the same format, so comparing their bytes compares the times.
    pub(crate) time: &'e [u8],
    pub(crate) kind: &'e [u8],
    rest: &'e [u8],
}

impl<'e> Spelled<'e> {
    /// Reads the first fields. `None` if the entry does not begin as the writer spells it: only the
    /// decoder can then read the entry.
    pub(crate) fn of(bytes: &'e [u8]) -> Option<Self> {
        const TIME: &[u8] = b"{\"time\":\"";
        const KIND: &[u8] = b"\",\"kind\":\"";
        const TIME_BYTES: usize = "2026-11-24T12:00:00.000000Z".len();
        let (time, rest) = bytes.strip_prefix(TIME)?.split_at_checked(TIME_BYTES)?;
        let rest = rest.strip_prefix(KIND).filter(|_| time.ends_with(b"Z"))?;
        let end = memchr(b'"', rest)?;
        Some(Self {
            time,
            kind: rest.get(..end)?,
            rest: rest.get(end + 1..)?,
        })
    }

    /// The index of the intent that an outcome closes or a read-back names. The writer puts this field
    /// right after `kind`.
    pub(crate) fn intent(&self) -> Option<u64> {
        let rest = self.rest.strip_prefix(b",\"intent\":")?;
        let digits = rest.get(..memchr(b',', rest)?)?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// Searches the bytes of entries for a JSON string.
#[derive(Clone, Debug)]
pub(crate) struct Needle(Finder<'static>);

impl Needle {
    pub(crate) fn string(text: &str) -> Self {
        // This cannot fail: a string always has a JSON form.
        let spelled = serde_json::to_vec(text).unwrap_or_default();
        Self(Finder::new(&spelled).into_owned())
    }

    /// Whether the entry may contain the string. Always `true` for an entry with a backslash, because such
    /// an entry may spell the string with escapes.
    pub(crate) fn may_be_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some() || memchr(b'\\', bytes).is_some()
    }
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

    #[test]
    fn time_kind_and_intent_are_read_from_the_first_bytes() {
        let bytes = br#"{"time":"2026-11-24T12:00:00.000000Z","kind":"outcome","intent":7,"x":1}"#;
        let spelled = Spelled::of(bytes).unwrap();
        assert_eq!(spelled.time, b"2026-11-24T12:00:00.000000Z");
        assert_eq!((spelled.kind, spelled.intent()), (&b"outcome"[..], Some(7)));
        for odd in [&b"{}"[..], b"", b"{\"kind\":\"alive\"}", b"\xff"] {
            assert_eq!(Spelled::of(odd), None);
        }
    }

    #[test]
    fn a_string_may_be_in_an_entry_that_holds_it_or_escapes() {
        let needle = Needle::string("4711");
        assert!(needle.may_be_in(br#"{"users":["4711"]}"#));
        assert!(!needle.may_be_in(br#"{"users":["47110"]}"#));
        assert!(needle.may_be_in(br#"{"caller":"quote \" here"}"#));
    }
}
