//! The conditions on deletions: the options that `list`, `tail` and `export` share.

use clap::ValueEnum;

use crate::audit::entry::Verdict;
use crate::audit::read::query::{Filter, Progress};
use crate::clock::{Clock, Time};

/// A deletion must satisfy all of them.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// Only on this account
    #[arg(long)]
    account: Option<String>,
    /// Only those that name this user (a refused deletion keeps 20 names)
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only by this subject, client or issuer (the full name)
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// Only by this operation, such as users.delete
    #[arg(long)]
    operation: Option<String>,
    /// Only those with this outcome
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    /// Only those refused with this code
    #[arg(long)]
    code: Option<String>,
    /// Only requests from this time on: RFC 3339, or a span before now (30s, 90m, 2h, 7d, 1w)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Time>,
    /// Only requests before this time; the same format as --since
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Time>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Outcome {
    Deleted,
    NotFound,
    Rejected,
    Failed,
    Unknown,
    Open,
    Refused,
}

impl Wanted {
    /// The filter for the trail's reader.
    pub(super) fn filter(&self) -> Filter {
        Filter {
            account: self.account.clone(),
            user: self.user.clone(),
            caller: self.caller.clone(),
            operation: self.operation.clone(),
            code: self.code.clone(),
            result: self.outcome.map(Progress::from),
            since: self.since,
            until: self.until,
        }
    }
}

impl From<Outcome> for Progress {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deleted => Self::Closed(Verdict::Deleted),
            Outcome::NotFound => Self::Closed(Verdict::NotFound),
            Outcome::Rejected => Self::Closed(Verdict::Rejected),
            Outcome::Failed => Self::Closed(Verdict::Failed),
            Outcome::Unknown => Self::Closed(Verdict::Unknown),
            Outcome::Open => Self::Open,
            Outcome::Refused => Self::Refused,
        }
    }
}

fn time(text: &str) -> Result<Time, String> {
    time_at(text, Clock::system().now())
}

/// Parses a point in time, or a span before `now`.
fn time_at(text: &str, now: Time) -> Result<Time, String> {
    if let Some(time) = Time::parse(text) {
        return Ok(time);
    }
    ago(text)
        .and_then(|micros| now.micros().checked_sub(micros))
        .map(Time)
        .ok_or_else(|| {
            "neither an RFC 3339 time, such as 2026-11-24T12:00:00Z, nor a span, such as 90m, 2h or 7d"
                .into()
        })
}

/// Parses a whole number with a unit into microseconds.
fn ago(text: &str) -> Option<i64> {
    let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    let has_sign = count.starts_with(['+', '-']);
    let count: i64 = count.parse().ok().filter(|_| !has_sign)?;
    count.checked_mul(seconds)?.checked_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_795_521_600_000_000);

    #[test]
    fn a_time_is_rfc_3339_in_any_offset() {
        let noon = time_at("2026-11-24T12:00:00Z", NOW).unwrap();
        assert_eq!(time_at("2026-11-24T13:00:00+01:00", NOW).unwrap(), noon);
    }

    #[test]
    fn a_span_counts_back_from_now() {
        for (text, seconds) in [
            ("0s", 0),
            ("30s", 30),
            ("90m", 5_400),
            ("2h", 7_200),
            ("7d", 604_800),
            ("1w", 604_800),
        ] {
            let time = time_at(text, NOW).unwrap();
            assert_eq!(NOW.0 - time.0, seconds * 1_000_000, "{text}");
        }
    }

    #[test]
    fn any_other_text_is_refused() {
        let huge = format!("{}w", i64::MAX);
        for text in [
            "",
            "2",
            "h",
            "-2h",
            "+2h",
            "2 h",
            "2.5h",
            "2y",
            "2ö",
            "yesterday",
            "2026-11-24",
            "2026-11-24T12:00:00",
            huge.as_str(),
        ] {
            assert!(time_at(text, NOW).is_err(), "{text}");
        }
    }
}
