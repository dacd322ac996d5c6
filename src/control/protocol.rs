//! The request and the answer on the control socket: one line of JSON each.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::audit::entry::Found;

/// The maximum size of a request line in bytes: enough for a reason and a list of deletions.
pub(crate) const MAX_REQUEST_BYTES: usize = 64 << 10;
/// The maximum size of an answer line in bytes: enough for [`MAX_SETTLED`] deletions.
pub(crate) const MAX_ANSWER_BYTES: usize = 1 << 20;
pub(crate) const MAX_REASON_BYTES: usize = 1_000;
/// The maximum number of deletions that one request reads back. The answer says how many deletions
/// remain.
pub(crate) const MAX_SETTLED: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Read back the users of deletions in doubt.
    Reconcile(Reconcile),
}

/// Which deletions to read back, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// The operator's reason; it goes into the trail.
    pub reason: String,
    /// Also read back deletions that closed less than five minutes ago.
    pub now: bool,
    /// The indexes or request ids of the deletions to read back. If empty, all unresolved
    /// deletions.
    pub deletions: Vec<String>,
    /// If set, the gateway reads back only deletions after this index. A request thus continues where the
    /// previous request stopped.
    pub after: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    Reconciled(Reconciled),
    /// The gateway refused the request and changed nothing.
    Refused {
        exit: u8,
        message: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciled {
    /// One item per deletion, oldest first.
    pub deletions: Vec<Settled>,
    /// How many deletions remain for another request.
    pub left: u64,
}

/// The result for one deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// Index of the deletion's first intent entry.
    pub index: u64,
    pub request_id: String,
    pub users: u64,
    /// The result that the trail records. `None` if the users were not read back or the result
    /// could not be recorded; `why` then gives the reason.
    pub result: Option<Found>,
    /// Index of the first entry that records the result; `None` if there is no result.
    pub entry: Option<u64>,
    /// Why `result` is `None`. This field is `None` if there is a result.
    pub why: Option<String>,
}

impl Settled {
    /// What an operator must know beyond the result: why there is none, or that upstream did not tell.
    pub(crate) fn note(&self) -> Option<String> {
        let index = self.index;
        match (&self.why, self.result) {
            (Some(why), _) => Some(format!("deletion {index} was not read back: {why}")),
            (None, Some(Found::CannotTell)) => Some(format!(
                "deletion {index}: upstream's answers do not tell whether its users exist: it is no longer listed as unresolved; see the answers with `lychgate audit show {index} --config FILE`; to ask again, run `lychgate audit reconcile {index} --config FILE --reason TEXT`"
            )),
            (None, _) => None,
        }
    }
}

impl Request {
    /// Parses a request line, with or without its line feed.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        let request: Self = parse(line)?;
        let Self::Reconcile(Reconcile { reason, .. }) = &request;
        check_reason(reason)?;
        Ok(request)
    }

    /// The request as one line, with its line feed.
    pub(crate) fn line(&self) -> io::Result<Vec<u8>> {
        line(self, MAX_REQUEST_BYTES)
    }
}

impl Answer {
    pub(crate) fn refused(exit: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Refused { exit, message }
    }

    /// Parses an answer line, with or without its line feed.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, String> {
        parse(line)
    }

    /// The answer as one line, with its line feed.
    pub(crate) fn line(&self) -> io::Result<Vec<u8>> {
        line(self, MAX_ANSWER_BYTES)
    }
}

/// Checks that a reason is neither empty nor longer than [`MAX_REASON_BYTES`].
pub(crate) fn check_reason(reason: &str) -> Result<(), &'static str> {
    if reason.trim().is_empty() {
        return Err("a reason is needed: it is put on record");
    }
    if reason.len() > MAX_REASON_BYTES {
        return Err("the reason is longer than 1,000 bytes");
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, String> {
    serde_json::from_slice(line).map_err(|error| format!("not a line of this socket: {error}"))
}

fn line(value: &impl Serialize, most: usize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    if line.len() > most {
        let what = format!("a line of {} bytes; {most} are allowed", line.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reconcile(reason: &str) -> Request {
        Request::Reconcile(Reconcile {
            reason: reason.into(),
            now: false,
            deletions: vec!["4".into()],
            after: None,
        })
    }

    #[test]
    fn a_request_has_the_documented_form() {
        let line = br#"{"command":"reconcile","reason":"asked","now":false,"deletions":["4"],"after":null}"#;
        assert_eq!(Request::parse(line), Ok(reconcile("asked")));
    }

    #[test]
    fn a_malformed_request_is_refused() {
        for line in [
            "",
            "{}",
            "null",
            "[]",
            r#"{"command":"forget"}"#,
            r#"{"command":"accept_loss","reason":"x","origin":"b"}"#,
            r#"{"command":"reconcile"}"#,
            r#"{"command":"reconcile","reason":"x","now":false,"deletions":[],"after":null,"as":0}"#,
            r#"{"command":"reconcile","reason":"x","now":1,"deletions":[],"after":null}"#,
            r#"{"command":"reconcile","reason":"x","now":true,"deletions":[],"after":null} {}"#,
        ] {
            assert!(Request::parse(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn a_reason_is_required_and_bounded() {
        for reason in ["", " \t", &"x".repeat(1_001)] {
            let line = reconcile(reason).line().unwrap();
            assert!(Request::parse(&line).is_err(), "{reason}");
        }
    }

    #[test]
    fn the_largest_answer_fits() {
        let settled = Settled {
            index: u64::MAX,
            request_id: "\u{1}".repeat(256),
            users: 5_000,
            result: None,
            entry: None,
            why: Some("\u{1}".repeat(1_000)),
        };
        let deletions = vec![settled; MAX_SETTLED];
        let answer = Answer::Reconciled(Reconciled { deletions, left: 0 });
        assert!(answer.line().is_ok());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Request::parse(&line), Answer::parse(&line));
        }

        #[test]
        fn a_request_survives_writing_and_parsing(
            reason in "\\PC{1,100}[a-z]", now: bool, deletions: Vec<String>, after: Option<u64>,
        ) {
            let request = Request::Reconcile(Reconcile { reason, now, deletions, after });
            prop_assert_eq!(Request::parse(&request.line().unwrap()), Ok(request));
        }
    }
}
