//! The validity window of a token: `exp`, `nbf` and `iat` (RFC 7519 §4.1), checked against the
//! injected clock.

use std::time::Duration;

use serde_json::Value;

use super::Denial;
use super::json::Object;
use crate::clock::Time;

/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can express.
const LAST_SECOND: i64 = 253_402_300_799;

const MICROS: i64 = 1_000_000;

/// The period in which a token is valid, extended by the leeway at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The start in microseconds since 1970, inclusive.
    begins: i64,
    /// The end in microseconds since 1970, exclusive.
    ends: i64,
}

impl Window {
    /// Reads `exp`, `nbf` and `iat`. Rounds `exp` down to a whole second, and `nbf` and `iat` down
    /// to a microsecond.
    pub(super) fn read(claims: &Object, leeway: Duration) -> Result<Self, Denial> {
        let leeway = i64::try_from(leeway.as_micros()).unwrap_or(i64::MAX);
        let expiry = claims
            .get("exp")
            .ok_or_else(|| Denial::Claims("the token has no `exp`".into()))?;
        let expiry = micros(expiry).ok_or_else(|| no_time("exp"))?;
        let not_before = optional(claims, "nbf").ok_or_else(|| no_time("nbf"))?;
        let issued = optional(claims, "iat").ok_or_else(|| no_time("iat"))?;
        Ok(Self {
            begins: not_before.max(issued).saturating_sub(leeway),
            ends: (expiry - expiry % MICROS).saturating_add(leeway),
        })
    }

    /// Checks that the token is valid at `now`. The token expires exactly at the end of the window.
    pub(super) fn judge(self, now: Time) -> Result<(), Denial> {
        if now.micros() >= self.ends {
            Err(Denial::Expired)
        } else if now.micros() < self.begins {
            Err(Denial::NotYetValid)
        } else {
            Ok(())
        }
    }
}

fn no_time(name: &str) -> Denial {
    let wrong = format!("`{name}` is not a number of seconds from 1970 to the year 9999");
    Denial::Claims(wrong.into())
}

/// Reads a claim in microseconds since 1970. Returns 0 if the claim is absent, and `None` if its
/// value is not a valid time.
fn optional(claims: &Object, name: &str) -> Option<i64> {
    claims.get(name).map_or(Some(0), micros)
}

/// Converts a NumericDate to microseconds since 1970. Returns `None` if the value is not a number
/// or lies before 1970 or after [`LAST_SECOND`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "the bounds are checked first, and a fraction of a microsecond is floored"
)]
fn micros(value: &Value) -> Option<i64> {
    if let Some(seconds) = value.as_i64() {
        return (0..=LAST_SECOND)
            .contains(&seconds)
            .then(|| seconds * MICROS);
    }
    let seconds = value.as_f64()?;
    let bounded = seconds >= 0.0 && seconds < (LAST_SECOND + 1) as f64;
    bounded.then(|| {
        let whole = seconds.floor();
        (whole as i64) * MICROS + ((seconds - whole) * MICROS as f64) as i64
    })
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn judged(claims: &str, leeway: Duration) -> Result<(), Denial> {
        let claims = json::object(claims.as_bytes()).unwrap();
        Window::read(&claims, leeway)?.judge(Time(NOW * MICROS))
    }

    fn strict(claims: &str) -> Result<(), Denial> {
        judged(claims, Duration::ZERO)
    }

    #[test]
    fn exp_missing_string_negative_null_true_or_too_large() {
        let missing = strict("{}").unwrap_err();
        assert_eq!(missing, Denial::Claims("the token has no `exp`".into()));
        for exp in [
            "\"1900000000\"",
            "-1",
            "null",
            "true",
            "18446744073709551616",
            "[1900000000]",
            "{}",
            "-0.5",
        ] {
            let why = strict(&format!("{{\"exp\":{exp}}}")).unwrap_err();
            assert!(matches!(why, Denial::Claims(_)), "{exp}");
            assert_ne!(why, missing, "malformed differs from missing");
        }
    }

    #[test]
    fn exp_u64_max_is_beyond_the_year_9999() {
        for exp in [
            "18446744073709551615",
            "253402300800",
            "253402300799.5e3",
            "1e300",
        ] {
            let why = strict(&format!("{{\"exp\":{exp}}}"));
            assert!(matches!(why, Err(Denial::Claims(_))), "{exp}");
        }
        assert_eq!(strict("{\"exp\":253402300799}"), Ok(()));
    }

    #[test]
    fn exp_with_a_fraction_is_floored() {
        assert_eq!(strict("{\"exp\":1800000000.999}"), Err(Denial::Expired));
        assert_eq!(strict("{\"exp\":1800000001.0}"), Ok(()));
        assert_eq!(strict("{\"exp\":1.800000001e9}"), Ok(()));
    }

    #[test]
    fn exp_is_now_with_leeway_0_is_expired() {
        assert_eq!(strict("{\"exp\":1800000000}"), Err(Denial::Expired));
        assert_eq!(strict("{\"exp\":1800000001}"), Ok(()));
        assert_eq!(strict("{\"exp\":0}"), Err(Denial::Expired));
        assert_eq!(strict("{\"exp\":-0}"), Err(Denial::Expired));
    }

    #[test]
    fn a_huge_leeway_neither_panics_nor_wraps() {
        for leeway in [
            Duration::MAX,
            Duration::from_secs(u64::MAX),
            Duration::from_secs(1 << 40),
        ] {
            let claims = "{\"exp\":253402300799,\"nbf\":253402300799,\"iat\":253402300799}";
            assert_eq!(judged(claims, leeway), Ok(()), "{leeway:?}");
            assert_eq!(judged("{\"exp\":0}", leeway), Ok(()), "{leeway:?}");
        }
    }

    #[test]
    fn leeway_ends_to_the_second() {
        let leeway = Duration::from_secs(60);
        assert_eq!(judged("{\"exp\":1799999941}", leeway), Ok(()));
        let why = judged("{\"exp\":1799999940}", leeway);
        assert_eq!(why, Err(Denial::Expired));
        let claims = "{\"exp\":1900000000,\"nbf\":1800000060}";
        assert_eq!(judged(claims, leeway), Ok(()));
        let claims = "{\"exp\":1900000000,\"nbf\":1800000061}";
        assert_eq!(judged(claims, leeway), Err(Denial::NotYetValid));
    }

    #[test]
    fn nbf_in_the_future() {
        let why = strict("{\"exp\":1900000000,\"nbf\":1800000001}");
        assert_eq!(why, Err(Denial::NotYetValid));
        let why = strict("{\"exp\":1900000000,\"nbf\":1800000000.5}");
        assert_eq!(why, Err(Denial::NotYetValid));
        assert_eq!(strict("{\"exp\":1900000000,\"nbf\":1800000000}"), Ok(()));
    }

    #[test]
    fn nbf_that_is_no_time() {
        for nbf in ["\"1\"", "null", "true", "-1", "[]", "1e300"] {
            let why = strict(&format!("{{\"exp\":1900000000,\"nbf\":{nbf}}}"));
            assert!(matches!(why, Err(Denial::Claims(_))), "{nbf}");
        }
    }

    #[test]
    fn iat_in_the_future_or_a_string() {
        let why = strict("{\"exp\":1900000000,\"iat\":1800000001}");
        assert_eq!(why, Err(Denial::NotYetValid));
        for iat in ["\"1\"", "null", "-1"] {
            let why = strict(&format!("{{\"exp\":1900000000,\"iat\":{iat}}}"));
            assert!(matches!(why, Err(Denial::Claims(_))), "{iat}");
        }
        assert_eq!(strict("{\"exp\":1900000000,\"iat\":1799999999.9}"), Ok(()));
    }

    #[test]
    fn expiry_is_reported_before_not_yet_valid() {
        let why = strict("{\"exp\":1,\"nbf\":1900000000}");
        assert_eq!(why, Err(Denial::Expired));
    }
}
