//! A refusal as the caller sees it: an RFC 9457 problem with its headers.
//!
//! The caller never sees the operator's detail of a refusal. Only the access line shows that detail.

use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::audit::Receipt;
use crate::audit::entry::Sent;
use crate::contract::Effect;
use crate::refusal::{Code, Refusal};
use crate::request::{Body, RequestContext};

/// The header that distinguishes the gateway's refusals from upstream's answers.
const REFUSAL: HeaderName = HeaderName::from_static("lychgate-refusal");

#[derive(Serialize)]
struct Problem<'r> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'r str,
    instance: String,
    code: &'static str,
    request_id: &'r str,
    /// The same text as `detail`, because the API's clients read this key.
    message: &'r str,
    sent: Sent,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
}

/// Makes the answer for this refusal of this request.
pub(crate) fn response(refusal: &Refusal, context: &RequestContext) -> Response<Body> {
    let (code, request_id) = (refusal.code, context.request_id());
    let detail = refusal.text(read_back(context));
    let problem = Problem {
        r#type: format!("urn:lychgate:refusal:{}", code.as_str()),
        title: code.title(),
        status: code.status_u16(),
        detail: &detail,
        instance: format!("urn:uuid:{request_id}"),
        code: code.as_str(),
        request_id,
        message: &detail,
        sent: refusal.sent,
        cause: refusal.cause,
        upstream_status: refusal.upstream_status,
    };
    // The problem holds only strings and numbers, so serialization cannot fail.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = code.status();
    set_headers(response.headers_mut(), refusal);
    response
}

/// Names what the caller should read to see whether the request took effect. Returns `None` for a read.
fn read_back(context: &RequestContext) -> Option<&'static str> {
    match context.matched.get()?.operation.effect {
        Effect::Read => None,
        Effect::Write => Some("what the request would have changed"),
        Effect::Delete if context.batch.get().is_some() => Some("each user"),
        Effect::Delete => Some("the user"),
    }
}

fn set_headers(headers: &mut HeaderMap, refusal: &Refusal) {
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(REFUSAL, HeaderValue::from_static(refusal.code.as_str()));
    if let Some(seconds) = refusal.retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = refusal.allow.as_deref().and_then(|a| a.parse().ok()) {
        headers.insert(ALLOW, allow);
    }
    if let Some(challenge) = challenge(refusal) {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(receipt) = &refusal.receipt {
        set_receipt(headers, receipt);
    }
}

/// The value of `WWW-Authenticate` (RFC 6750 §3). The value has no `error` if the caller sent no token.
fn challenge(refusal: &Refusal) -> Option<HeaderValue> {
    if refusal.code == Code::TokenMissing {
        return Some(HeaderValue::from_static("Bearer"));
    }
    if refusal.code.status() == StatusCode::UNAUTHORIZED {
        return Some(HeaderValue::from_static("Bearer error=\"invalid_token\""));
    }
    let scope = refusal.scope.as_deref()?;
    let text = format!("Bearer error=\"insufficient_scope\", scope=\"{scope}\"");
    HeaderValue::from_str(&text).ok()
}

/// Puts the three headers of a receipt on an answer.
pub(crate) fn set_receipt(headers: &mut HeaderMap, receipt: &Receipt) {
    for (name, value) in [
        ("lychgate-receipt", &receipt.receipt),
        ("lychgate-receipt-leaf", &receipt.leaf),
        ("lychgate-receipt-signature", &receipt.signature),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::Request;

    use super::*;
    use crate::request::Peer;

    /// The answer to a request with the id `id`.
    fn answer(refusal: &Refusal) -> Response<Body> {
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let id = HeaderValue::from_static("id");
        response(refusal, &RequestContext::new(id, peer, &Request::new(())))
    }

    fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
        response.headers().get(name).map(|v| v.to_str().unwrap())
    }

    #[test]
    fn p11_a_refusal_is_a_problem_with_its_code() {
        let refusal = Refusal::new(Code::VersionMissing, "Add v=4.0.");
        let response = answer(&refusal.with_operator_detail("http://va.ac.example:8443"));
        assert_eq!(response.status(), 400);
        assert_eq!(
            header(&response, "lychgate-refusal"),
            Some("version-missing")
        );
        assert_eq!(
            header(&response, "content-type"),
            Some("application/problem+json")
        );
        let Body::Whole(body) = response.into_body() else {
            panic!("a problem has a body");
        };
        assert!(!String::from_utf8_lossy(&body).contains("va.ac.example"));
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "version-missing");
        assert_eq!(body["detail"], body["message"]);
        assert_eq!(body["sent"], "no");
        assert_eq!(body["request_id"], "id");
        assert_eq!(body["status"], 400);
        assert!(body.get("cause").is_none());
    }

    #[test]
    fn p11_challenges_follow_rfc_6750() {
        let of = |refusal: Refusal| {
            let response = answer(&refusal);
            header(&response, "www-authenticate").map(str::to_owned)
        };
        let missing = of(Refusal::new(Code::TokenMissing, ""));
        assert_eq!(missing.as_deref(), Some("Bearer"));
        let expired = of(Refusal::new(Code::TokenExpired, ""));
        assert_eq!(expired.as_deref(), Some("Bearer error=\"invalid_token\""));
        let scope = of(Refusal::new(Code::ScopeMissing, "").with_scope("users.delete"));
        assert_eq!(
            scope.as_deref(),
            Some("Bearer error=\"insufficient_scope\", scope=\"users.delete\"")
        );
        assert_eq!(of(Refusal::new(Code::PathMalformed, "")), None);
    }

    #[test]
    fn p11_a_repeatable_refusal_has_retry_after() {
        let response = answer(&Refusal::new(Code::Draining, ""));
        assert_eq!(header(&response, "retry-after"), Some("1"));
    }

    #[test]
    fn p5_a_receipt_is_three_headers() {
        let mut headers = HeaderMap::new();
        let receipt = Receipt {
            receipt: "origin/7".into(),
            leaf: "bGVhZg==".into(),
            signature: "c2ln".into(),
        };
        set_receipt(&mut headers, &receipt);
        assert_eq!(headers["lychgate-receipt"], "origin/7");
        assert_eq!(headers["lychgate-receipt-leaf"], "bGVhZg==");
        assert_eq!(headers["lychgate-receipt-signature"], "c2ln");
    }
}
