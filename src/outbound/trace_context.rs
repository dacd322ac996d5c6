//! Sets `traceparent` (W3C Trace Context, section 3.2): continues the caller's trace with a new span id, or
//! begins a new trace.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::random;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The length of `00-`, 32 digits, `-`, 16 digits, `-` and 2 digits.
const LENGTH: usize = 55;
/// The flags that the gateway knows: `sampled`, and `random-trace-id` of level 2.
const KNOWN_FLAGS: u8 = 0b11;

/// Sets `traceparent` with the gateway's own span id. If the caller's `traceparent` is missing, invalid or
/// repeated, begins a new trace and removes `tracestate` (section 4.3).
pub(super) fn continue_or_begin(headers: &mut HeaderMap) {
    let Some(mut random) = random::bytes::<24>() else {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
        return;
    };
    let (trace, span) = random.split_at_mut(16);
    // An id of all zeros is invalid, so one bit of each id is always set.
    trace[15] |= 1;
    span[7] |= 1;
    let mut text = [b'-'; LENGTH];
    text[..2].copy_from_slice(b"00");
    write_hex(&mut text[36..52], span);
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let continued = match (values.next().and_then(parse), values.next()) {
        (Some((id, flags)), None) => {
            text[3..35].copy_from_slice(&id);
            write_hex(&mut text[53..], &[flags & KNOWN_FLAGS]);
            true
        }
        _ => {
            write_hex(&mut text[3..35], trace);
            text[53..].copy_from_slice(b"00");
            false
        }
    };
    if !continued {
        headers.remove(TRACESTATE);
    }
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Returns the trace id's digits and the flags, or `None` if the value is invalid.
fn parse(value: &HeaderValue) -> Option<([u8; 32], u8)> {
    let text = value.as_bytes();
    let head = text.get(..LENGTH)?;
    let dashes = head[2] == b'-' && head[35] == b'-' && head[52] == b'-';
    let version = hex_byte(&head[..2])?;
    // Version 0 has a fixed length. A later version may append fields. Version 255 is forbidden.
    let length_fits = match version {
        0 => text.len() == LENGTH,
        255 => false,
        _ => text.len() == LENGTH || text[LENGTH] == b'-',
    };
    let (trace, span) = (&head[3..35], &head[36..52]);
    let valid = dashes && length_fits && is_id(trace) && is_id(span);
    let flags = hex_byte(&head[53..])?;
    valid.then_some((trace.try_into().ok()?, flags))
}

fn is_id(digits: &[u8]) -> bool {
    digits.iter().all(|digit| hex_digit(*digit).is_some()) && digits.iter().any(|d| *d != b'0')
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    match digits {
        [high, low] => Some(hex_digit(*high)? << 4 | hex_digit(*low)?),
        _ => None,
    }
}

/// The value of a hexadecimal digit. Upper case is invalid in `traceparent`.
fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn write_hex(target: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in target.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn after(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, value.parse().unwrap());
        }
        headers.insert(TRACESTATE, "vendor=1".parse().unwrap());
        continue_or_begin(&mut headers);
        assert_eq!(headers.get_all(TRACEPARENT).iter().count(), 1);
        assert!(parse(&headers[TRACEPARENT]).is_some(), "{headers:?}");
        headers
    }

    fn begins_anew(values: &[&str]) -> bool {
        let headers = after(values);
        let text = headers[TRACEPARENT].to_str().unwrap().to_owned();
        let anew = !text.contains("4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(anew, !headers.contains_key(TRACESTATE));
        anew
    }

    #[test]
    fn a_valid_traceparent_is_continued_with_a_new_span() {
        let headers = after(&[GOOD]);
        let text = headers[TRACEPARENT].to_str().unwrap();
        assert!(text.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
        assert!(text.ends_with("-01") && !text.contains("00f067aa0ba902b7"));
        assert_eq!(headers[TRACESTATE], "vendor=1");
    }

    #[test]
    fn a_later_version_is_continued_as_ours() {
        assert!(!begins_anew(&[&GOOD.replacen("00", "cc", 1)]));
        assert!(!begins_anew(&[&format!(
            "{}-more",
            GOOD.replacen("00", "cc", 1)
        )]));
    }

    #[test]
    fn what_is_not_valid_begins_a_trace_without_the_state() {
        for value in [
            "",
            "00",
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replacen("4b", "4B", 1),
            &format!("{GOOD}-more"),
            &GOOD.replacen("-01", "_01", 1),
            &GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            &GOOD.replacen("4b", "zz", 1),
        ] {
            assert!(begins_anew(&[value]), "{value}");
        }
        let zeros = GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        assert!(begins_anew(&[&zeros]));
    }

    #[test]
    fn two_traceparents_or_none_begin_a_trace() {
        assert!(begins_anew(&[]));
        assert!(begins_anew(&[GOOD, GOOD]));
    }

    #[test]
    fn no_two_requests_share_a_trace() {
        assert_ne!(after(&[])[TRACEPARENT], after(&[])[TRACEPARENT]);
    }
}
