//! Every refusal of the gateway: its code, status and title. The layer that refuses adds the detail.
//!
//! The caller gets a refusal as an RFC 9457 problem. The [`Code`] of a refusal is stable, for callers and
//! operators. `docs/refusals.md` has a table line and a section for each code.

mod advice;
pub(crate) mod problem;
pub(crate) mod record;

use std::borrow::Cow;

use http::StatusCode;

pub use advice::{Actor, Repeat};

use crate::audit::Receipt;
use crate::audit::entry::Sent;
use crate::request::{BodyFault, HeadFault};

macro_rules! codes {
    ($($variant:ident = $status:literal $text:literal $title:literal $actor:ident $repeat:ident,)*) => {
        /// The stable code of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!("`", $text, "` (", stringify!($status), "): ", $title)] $variant,)*
        }

        impl Code {
            /// Every code, sorted by status.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The spelling of the code in bodies, headers, logs and the trail.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The status of the answer.
            #[must_use]
            pub const fn status_u16(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The `title` of the RFC 9457 problem. All refusals with this code have the same title.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// Who must act so that the request passes.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self { $(Self::$variant => Actor::$actor,)* }
            }

            /// When the caller may repeat the request, provided that the gateway sent no byte of it upstream.
            #[must_use]
            pub const fn repeat(self) -> Repeat {
                match self { $(Self::$variant => Repeat::$repeat,)* }
            }
        }
    };
}

// Each line: variant = status, code, title, who must act, when to repeat. Only 429 and 503 carry Retry-After.
//
// A new code also needs: a layer that raises it (until then a line in `is_planned`); a line in `may_be_sent`
// if the gateway may have sent a part of the request; a row and a section in `docs/refusals.md`; and a line
// in `tests/clients/support/refusals.py` if a client can provoke it.
codes! {
    VersionMissing = 400 "version-missing" "The query parameter v is missing" Caller OnceFixed,
    VersionUnsupported = 400 "version-unsupported" "This API version is not supported" Caller OnceFixed,
    VersionAmbiguous = 400 "version-ambiguous" "The query parameter v appears more than once" Caller OnceFixed,
    IfMatchMalformed = 400 "if-match-malformed" "If-Match is not well formed" Caller OnceFixed,
    UserIdInvalid = 400 "user-id-invalid" "The user id is not valid" Caller OnceFixed,
    AccountIdInvalid = 400 "account-id-invalid" "The account id is not valid" Caller OnceFixed,
    PathMalformed = 400 "path-malformed" "The path is not in its plain form" Caller OnceFixed,
    BodyUnexpected = 400 "body-unexpected" "This request may not carry a body" Caller OnceFixed,
    BodyInvalid = 400 "body-invalid" "The body is not what this operation takes" Caller OnceFixed,
    RequestMalformed = 400 "request-malformed" "The request is malformed" Caller OnceFixed,
    TokenMissing = 401 "token-missing" "A bearer token is required" Caller WithAnotherToken,
    TokenMalformed = 401 "token-malformed" "The token is malformed" Caller WithAnotherToken,
    TokenSignature = 401 "token-signature" "The token's signature does not verify" Caller WithAnotherToken,
    TokenAlgorithm = 401 "token-algorithm" "The token's algorithm is not allowed" Issuer WithAnotherToken,
    TokenKeyUnknown = 401 "token-key-unknown" "The token's key is not known" Caller InAFewSeconds,
    TokenExpired = 401 "token-expired" "The token has expired" Caller WithAnotherToken,
    TokenNotYetValid = 401 "token-not-yet-valid" "The token is not valid yet" Nobody InAFewSeconds,
    TokenIssuer = 401 "token-issuer" "The token's issuer is not trusted" Caller WithAnotherToken,
    TokenAudience = 401 "token-audience" "The token is meant for another audience" Issuer WithAnotherToken,
    TokenType = 401 "token-type" "This type of token is not accepted" Caller WithAnotherToken,
    TokenClaims = 401 "token-claims" "The token's claims are missing or malformed" Issuer WithAnotherToken,
    TokenRevoked = 401 "token-revoked" "The token is revoked" Operator OnceMended,
    TokenBinding = 401 "token-binding" "The token is bound to a key that was not shown" Issuer WithAnotherToken,
    AccountForbidden = 403 "account-forbidden" "The token does not cover this account" Caller OnceFixed,
    ScopeMissing = 403 "scope-missing" "The token lacks a scope" Issuer WithAnotherToken,
    RuleDenied = 403 "rule-denied" "A rule denies this request" Operator OnceMended,
    IfMatchUnconditional = 403 "if-match-unconditional" "An unconditional deletion is not permitted" Caller OnceFixed,
    OperationUnknown = 404 "operation-unknown" "No such operation" Caller OnceFixed,
    AccountUnknown = 404 "account-unknown" "No origin is known for this account" Operator OnceMended,
    MethodNotAllowed = 405 "method-not-allowed" "The method is not allowed here" Caller OnceFixed,
    RequestTimeout = 408 "request-timeout" "The request took too long to arrive" Caller OnceFixed,
    BodyTooLarge = 413 "body-too-large" "The body is too large" Caller OnceFixed,
    UriTooLong = 414 "uri-too-long" "The request target is too long" Caller OnceFixed,
    IfMatchMissing = 428 "if-match-missing" "If-Match is required" Caller OnceFixed,
    DeletionBudgetSpent = 429 "deletion-budget-spent" "The budget of deletions is spent" Caller AfterRetryAfter,
    RateLimited = 429 "rate-limited" "Too many requests" Caller AfterRetryAfter,
    HeadersTooLarge = 431 "headers-too-large" "The header section is too large" Caller OnceFixed,
    Internal = 500 "internal" "The gateway has a defect" Operator InAFewSeconds,
    DeletionUnconfirmed = 500 "deletion-unconfirmed" "The deletion's outcome could not be recorded" Operator Never,
    UpstreamUnreachable = 502 "upstream-unreachable" "Upstream cannot be reached" Operator InAFewSeconds,
    UpstreamProtocol = 502 "upstream-protocol" "Upstream's answer cannot be used" Operator InAFewSeconds,
    DomainRefused = 502 "domain-refused" "The account's domain is not allowed" Operator OnceMended,
    AuditUnavailable = 503 "audit-unavailable" "The audit trail cannot take deletions" Operator AfterRetryAfter,
    KeysUnavailable = 503 "keys-unavailable" "The issuer's keys are not available" Operator AfterRetryAfter,
    DomainUnavailable = 503 "domain-unavailable" "The account's domain cannot be found out" Operator AfterRetryAfter,
    CredentialsUnavailable = 503 "credentials-unavailable" "Upstream credentials are not available" Operator AfterRetryAfter,
    Overloaded = 503 "overloaded" "The gateway is at its limit" Caller AfterRetryAfter,
    Draining = 503 "draining" "The gateway is stopping" Nobody AfterRetryAfter,
    UpstreamTimeout = 504 "upstream-timeout" "Upstream did not answer in time" Operator InAFewSeconds,
}

impl Code {
    /// Whether the code is reserved for a later release. No request gets it yet.
    #[must_use]
    pub const fn is_planned(self) -> bool {
        matches!(
            self,
            Self::TokenRevoked
                | Self::RuleDenied
                | Self::DeletionBudgetSpent
                | Self::RateLimited
                | Self::DomainRefused
                | Self::DomainUnavailable
        )
    }

    /// Whether the gateway may have sent a part of a write or a deletion that gets this refusal.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(
            self,
            Self::RequestMalformed
                | Self::RequestTimeout
                | Self::BodyTooLarge
                | Self::Internal
                | Self::DeletionUnconfirmed
                | Self::UpstreamUnreachable
                | Self::UpstreamProtocol
                | Self::UpstreamTimeout
        )
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        StatusCode::from_u16(self.status_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// A refusal before it becomes an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// The problem and its remedy, for the caller. Names no secret, and no origin, address or file of the
    /// gateway. [`Self::text`] adds whether the caller may repeat the request.
    pub detail: Cow<'static, str>,
    /// The full detail for the operator's log, if it says more than `detail`. May name origins, addresses and
    /// files.
    pub operator_detail: Option<Cow<'static, str>>,
    /// Whether any part of the request was sent upstream. A write or a deletion may be repeated only if this
    /// is `No`.
    pub sent: Sent,
    /// The cause of `audit-unavailable`.
    pub cause: Option<&'static str>,
    /// The status of upstream's answer, if `sent` is `yes`.
    pub upstream_status: Option<u16>,
    /// The number of seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// The value of `Allow` for `method-not-allowed`.
    pub allow: Option<String>,
    /// The scope that the token lacks. `WWW-Authenticate` names it.
    pub scope: Option<String>,
    /// The receipt of a deletion that was sent, or may have been sent.
    pub receipt: Option<Receipt>,
}

/// The result of a check: a value or a refusal.
pub type Checked<T> = Result<T, Box<Refusal>>;

impl Refusal {
    /// Makes the refusal of a request that was not sent, not even in part.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = matches!(code.status_u16(), 503 | 429).then_some(1);
        Self {
            code,
            detail: detail.into(),
            operator_detail: None,
            sent: Sent::No,
            cause: None,
            upstream_status: None,
            retry_after,
            allow: None,
            scope: None,
            receipt: None,
        }
    }

    /// The refusal after a panic. The panic hook has already logged the panic and its place.
    #[must_use]
    pub fn defect() -> Self {
        Self::new(
            Code::Internal,
            "The gateway has a defect that this request met.",
        )
        .with_operator_detail("a panic: the line `a defect of the gateway` names its place")
    }

    /// The refusal of a body longer than `most` bytes.
    #[must_use]
    pub fn body_too_large(most: u64) -> Self {
        Self::new(
            Code::BodyTooLarge,
            format!("The body is longer than the {most} bytes that are allowed. Send it in parts."),
        )
    }

    /// The refusal for this fault of the head.
    #[must_use]
    pub fn of_head(fault: &HeadFault) -> Self {
        match fault {
            HeadFault::Malformed(reason) => Self::new(
                Code::RequestMalformed,
                format!("The head is not valid HTTP/1.1: {reason}. Send a valid one."),
            ),
            HeadFault::TargetTooLong => Self::new(
                Code::UriTooLong,
                "The request target is longer than this gateway allows ([limits] max_uri_bytes). \
                 Shorten the query.",
            ),
            HeadFault::TooLarge => Self::new(
                Code::HeadersTooLarge,
                "The head has more than 100 header lines, or is longer than this gateway allows \
                 ([limits] max_head_bytes). Send fewer or shorter headers.",
            ),
            HeadFault::Late => Self::new(
                Code::RequestTimeout,
                "The head did not arrive in time ([listen] head_timeout). Send it faster.",
            ),
        }
    }

    /// The refusal for this fault of the body.
    #[must_use]
    pub fn of_body(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::new(
                Code::BodyTooLarge,
                "The body is longer than this gateway allows ([limits] max_body_bytes). \
                 Send it in parts.",
            ),
            BodyFault::Late => Self::new(
                Code::RequestTimeout,
                "The body did not arrive in time ([limits] body_timeout). Send it faster, or in parts.",
            ),
            BodyFault::Broken => Self::new(
                Code::RequestMalformed,
                "The body was cut short, or its chunked framing is broken. Send it whole.",
            ),
        }
    }

    /// Wraps the refusal as the result of a check.
    ///
    /// # Errors
    /// Always returns the refusal.
    pub fn refuse<T>(self) -> Checked<T> {
        Err(Box::new(self))
    }

    /// The `detail` of the RFC 9457 problem: the fault, whether the caller may repeat the request, and who
    /// must act. `read_back` names what the caller should read after a request that may have changed
    /// something; it is `None` for a read.
    #[must_use]
    pub fn text(&self, read_back: Option<&str>) -> String {
        let (actor, repeat) = (self.code.actor(), self.code.repeat());
        let advice = advice::advice(actor, repeat, self.sent, read_back);
        format!("{} {advice}", self.detail)
    }

    /// Adds the full detail for the log.
    #[must_use]
    pub fn with_operator_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.operator_detail = Some(detail.into());
        self
    }

    /// Sets whether the request was sent.
    #[must_use]
    pub fn with_sent(mut self, sent: Sent) -> Self {
        self.sent = sent;
        self
    }

    /// Adds the required scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_their_statuses_are_errors() {
        let mut texts: Vec<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(
            Code::ALL
                .iter()
                .all(|c| (400..600).contains(&c.status_u16()))
        );
    }

    #[test]
    fn what_may_be_tried_again_says_when() {
        assert_eq!(Refusal::new(Code::Draining, "").retry_after, Some(1));
        assert_eq!(Refusal::new(Code::TokenMissing, "").retry_after, None);
    }
}
