//! What is asked and answered: one line of JSON each.

use std::io;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::audit::entry::Found;

/// Bytes of a request's line: room for a reason and for as many names as one request may hold.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
/// Bytes of an answer's line: the deletions of one request, [`MAX_SETTLED`] at most, in full.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;
/// A reason is at most so many bytes.
pub const MAX_REASON_BYTES: usize = 1_000;
/// One request reads back at most so many deletions; the answer says how many are left.
pub const MAX_SETTLED: usize = 100;

/// What a command asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Read the users of deletions in doubt back.
    Reconcile(Reconcile),
}

/// Which deletions are read back, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconcile {
    /// Why, in the operator's words; it is put on record.
    pub reason: String,
    /// Also those closed less than five minutes ago.
    pub now: bool,
    /// Indexes or request ids; none: all that are unresolved.
    pub deletions: Vec<String>,
    /// Only those behind this index: how one request goes on where another ended.
    pub after: Option<u64>,
}

/// What the gateway answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// What reading back said.
    Reconciled(Reconciled),
    /// It was not done.
    Refused {
        /// The command's exit code.
        exit: u8,
        /// What the operator is told.
        message: String,
    },
}

/// What reading back said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconciled {
    /// One each deletion that was looked at, oldest first.
    pub deletions: Vec<Settled>,
    /// How many are left for another request.
    pub left: u64,
}

/// One deletion that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settled {
    /// Index of its (first) intent.
    pub index: u64,
    /// The request's id.
    pub request_id: String,
    /// How many users it names.
    pub users: u64,
    /// What is on record now; `None` where it was not read back, and `why` says why not.
    pub result: Option<Found>,
    /// Index of the (first) entry that says so.
    pub entry: Option<u64>,
    /// Why nothing was written.
    pub why: Option<String>,
}

/// A line that is no request or answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

impl Request {
    /// Reads a request's line, with or without its line feed.
    ///
    /// # Errors
    /// Where it is none, or its reason is empty or too long.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        let request: Self = parse(line)?;
        let Self::Reconcile(Reconcile { reason, .. }) = &request;
        check_reason(reason).map_err(|fault| Malformed(fault.to_owned()))?;
        Ok(request)
    }

    /// The line, with its line feed.
    ///
    /// # Errors
    /// Where it is longer than a gateway would read.
    pub fn line(&self) -> io::Result<Vec<u8>> {
        line(self, MAX_REQUEST_BYTES)
    }
}

impl Answer {
    /// Reads an answer's line, with or without its line feed.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(line: &[u8]) -> Result<Self, Malformed> {
        parse(line)
    }

    /// The line, with its line feed.
    ///
    /// # Errors
    /// Where it is longer than a command would read.
    pub fn line(&self) -> io::Result<Vec<u8>> {
        line(self, MAX_ANSWER_BYTES)
    }
}

/// Says what is wrong with a reason, if anything is.
///
/// # Errors
/// A sentence that says it.
pub fn check_reason(reason: &str) -> Result<(), &'static str> {
    if reason.trim().is_empty() {
        return Err("a reason is needed: it is put on record");
    }
    if reason.len() > MAX_REASON_BYTES {
        return Err("the reason is longer than 1,000 bytes");
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Malformed> {
    serde_json::from_slice(line)
        .map_err(|error| Malformed(format!("not a line of this socket: {error}")))
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
    fn a_request_has_the_written_form() {
        let line = br#"{"command":"reconcile","reason":"asked","now":false,"deletions":["4"],"after":null}"#;
        assert_eq!(Request::parse(line), Ok(reconcile("asked")));
    }

    #[test]
    fn what_is_no_request_is_refused() {
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
    fn a_reason_is_said_and_short() {
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
        fn what_is_written_is_read_back(
            reason in "\\PC{1,100}[a-z]", now: bool, deletions: Vec<String>, after: Option<u64>,
        ) {
            let request = Request::Reconcile(Reconcile { reason, now, deletions, after });
            prop_assert_eq!(Request::parse(&request.line().unwrap()), Ok(request));
        }
    }
}
