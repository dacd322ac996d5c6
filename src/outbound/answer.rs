//! Decides whether an answer's head is usable, and which of its headers the caller gets.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};

use super::headers::remove_headers;
use crate::forward::Delivery;

/// Judges an answer's head. `early` says whether the answer began before the whole request was sent.
pub(super) fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    delivery: Delivery,
    early: bool,
) -> Result<(), &'static str> {
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err("upstream answered 101, which nobody asked for");
    }
    if !(200..600).contains(&status.as_u16()) {
        return Err("upstream answered with a status outside 200 to 599");
    }
    judge_framing(headers)?;
    if delivery != Delivery::Deletion {
        return Ok(());
    }
    if early {
        return Err("upstream answered before the deletion was sent in full");
    }
    if status == StatusCode::REQUEST_TIMEOUT {
        return Err("upstream answered 408, which may not be meant for this deletion");
    }
    Ok(())
}

/// Removes the hop-by-hop headers and those that only the gateway may set. hyper sets the framing from the
/// body.
pub(super) fn rewrite(headers: &mut HeaderMap) {
    remove_headers(headers, |name| {
        name == "x-request-id" || name.starts_with("lychgate-")
    });
}

/// Refuses an answer whose framing header is invalid or that has more than one framing header (RFC 9112,
/// section 6), because such an answer can be read in two ways.
fn judge_framing(headers: &HeaderMap) -> Result<(), &'static str> {
    let (mut lengths, mut is_number) = (0, true);
    let (mut codings, mut is_chunked) = (0, true);
    for (name, value) in headers {
        if name == CONTENT_LENGTH {
            lengths += 1;
            is_number &= value.as_bytes().iter().all(u8::is_ascii_digit);
        } else if name == TRANSFER_ENCODING {
            codings += 1;
            is_chunked &= value.as_bytes().eq_ignore_ascii_case(b"chunked");
        }
    }
    if lengths > 1 {
        return Err("upstream sent two Content-Length headers");
    }
    if !is_number {
        return Err("upstream sent a Content-Length that is no number");
    }
    if lengths > 0 && codings > 0 {
        return Err("upstream sent both Content-Length and Transfer-Encoding");
    }
    if codings > 1 || !is_chunked {
        return Err("upstream sent a Transfer-Encoding other than one `chunked`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn counts(status: u16, pairs: &[(&str, &str)]) -> bool {
        let status = StatusCode::from_u16(status).unwrap();
        judge(status, &headers(pairs), Delivery::Repeatable, false).is_ok()
    }

    #[test]
    fn one_framing_is_usable() {
        assert!(counts(200, &[("content-length", "3")]));
        assert!(counts(200, &[("transfer-encoding", "Chunked")]));
        assert!(counts(200, &[]));
    }

    #[test]
    fn two_framings_or_an_unknown_one_are_not_usable() {
        for pairs in [
            &[("content-length", "3"), ("transfer-encoding", "chunked")][..],
            &[("content-length", "3"), ("content-length", "3")],
            &[("content-length", "3, 3")],
            &[("content-length", "+3")],
            &[("transfer-encoding", "gzip")],
            &[("transfer-encoding", "gzip, chunked")],
            &[("transfer-encoding", "chunked, chunked")],
            &[("transfer-encoding", "identity")],
            &[("transfer-encoding", "")],
            &[
                ("transfer-encoding", "chunked"),
                ("transfer-encoding", "chunked"),
            ],
        ] {
            assert!(!counts(200, pairs), "{pairs:?}");
        }
    }

    #[test]
    fn a_status_from_200_to_599_is_usable() {
        for status in [200, 204, 304, 404, 408, 599] {
            assert!(counts(status, &[]), "{status}");
        }
        for status in [101, 199, 600, 999] {
            assert!(!counts(status, &[]), "{status}");
        }
    }

    #[test]
    fn p7_a_408_or_an_early_answer_fails_a_deletion() {
        let judged =
            |status, early, delivery| judge(status, &HeaderMap::new(), delivery, early).is_ok();
        let late = StatusCode::REQUEST_TIMEOUT;
        assert!(!judged(late, false, Delivery::Deletion));
        assert!(!judged(StatusCode::OK, true, Delivery::Deletion));
        assert!(judged(StatusCode::OK, false, Delivery::Deletion));
        assert!(judged(late, true, Delivery::Once));
        assert!(judged(late, true, Delivery::Repeatable));
    }

    #[test]
    fn the_caller_gets_only_upstreams_own_headers() {
        let mut headers = headers(&[
            ("lychgate-refusal", "token-missing"),
            ("lychgate-receipt", "x"),
            ("x-request-id", "theirs"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("trailer", "x-sum"),
            ("upgrade", "h2c"),
            ("proxy-authenticate", "Basic"),
            ("transfer-encoding", "chunked"),
            ("ac-revision", "17"),
            ("etag", "\"a\""),
            ("set-cookie", "a"),
            ("set-cookie", "b"),
        ]);
        rewrite(&mut headers);
        assert_eq!(headers.len(), 4, "{headers:?}");
        assert_eq!(headers["ac-revision"], "17");
        assert_eq!(headers["etag"], "\"a\"");
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"]);
    }
}
