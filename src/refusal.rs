//! Every refusal of the gateway: its code, status, public text and remedy.
//!
//! A refusal is an RFC 9457 problem; [`Code`] is the stable part for callers and operators.
//! `docs/refusals.md` has a paragraph for each code.

pub(crate) mod problem;
pub(crate) mod record;

use std::borrow::Cow;

use http::StatusCode;

use crate::audit::Receipt;
use crate::audit::entry::Sent;
use crate::request::BodyFault;

macro_rules! codes {
    ($($variant:ident = $status:literal $text:literal $title:literal,)*) => {
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

            /// The `title` of RFC 9457, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    VersionMissing = 400 "version-missing" "The query parameter v is missing",
    VersionUnsupported = 400 "version-unsupported" "This API version is not supported",
    VersionAmbiguous = 400 "version-ambiguous" "The query parameter v appears more than once",
    IfMatchMalformed = 400 "if-match-malformed" "If-Match is not well formed",
    UserIdInvalid = 400 "user-id-invalid" "The user id is not valid",
    AccountIdInvalid = 400 "account-id-invalid" "The account id is not valid",
    PathMalformed = 400 "path-malformed" "The path is not in its plain form",
    BodyUnexpected = 400 "body-unexpected" "This request may not carry a body",
    BodyInvalid = 400 "body-invalid" "The body is not what this operation takes",
    RequestMalformed = 400 "request-malformed" "The request is malformed",
    TokenMissing = 401 "token-missing" "A bearer token is required",
    TokenMalformed = 401 "token-malformed" "The token is malformed",
    TokenSignature = 401 "token-signature" "The token's signature does not verify",
    TokenAlgorithm = 401 "token-algorithm" "The token's algorithm is not allowed",
    TokenKeyUnknown = 401 "token-key-unknown" "The token's key is not known",
    TokenExpired = 401 "token-expired" "The token has expired",
    TokenNotYetValid = 401 "token-not-yet-valid" "The token is not valid yet",
    TokenIssuer = 401 "token-issuer" "The token's issuer is not trusted",
    TokenAudience = 401 "token-audience" "The token is meant for another audience",
    TokenType = 401 "token-type" "This type of token is not accepted",
    TokenClaims = 401 "token-claims" "The token's claims are missing or malformed",
    TokenRevoked = 401 "token-revoked" "The token is revoked",
    TokenBinding = 401 "token-binding" "The token is bound to a key that was not shown",
    AccountForbidden = 403 "account-forbidden" "The token does not cover this account",
    ScopeMissing = 403 "scope-missing" "The token lacks a scope",
    RuleDenied = 403 "rule-denied" "A rule denies this request",
    IfMatchUnconditional = 403 "if-match-unconditional" "An unconditional deletion is not permitted",
    OperationUnknown = 404 "operation-unknown" "No such operation",
    AccountUnknown = 404 "account-unknown" "No origin is known for this account",
    MethodNotAllowed = 405 "method-not-allowed" "The method is not allowed here",
    RequestTimeout = 408 "request-timeout" "The request took too long to arrive",
    BodyTooLarge = 413 "body-too-large" "The body is too large",
    UriTooLong = 414 "uri-too-long" "The request target is too long",
    IfMatchMissing = 428 "if-match-missing" "If-Match is required",
    DeletionBudgetSpent = 429 "deletion-budget-spent" "The budget of deletions is spent",
    RateLimited = 429 "rate-limited" "Too many requests",
    HeadersTooLarge = 431 "headers-too-large" "The header section is too large",
    Internal = 500 "internal" "The gateway has a defect",
    DeletionUnconfirmed = 500 "deletion-unconfirmed" "The deletion's outcome could not be recorded",
    UpstreamUnreachable = 502 "upstream-unreachable" "Upstream cannot be reached",
    UpstreamProtocol = 502 "upstream-protocol" "Upstream's answer cannot be used",
    DomainRefused = 502 "domain-refused" "The account's domain is not allowed",
    AuditUnavailable = 503 "audit-unavailable" "The audit trail cannot take deletions",
    KeysUnavailable = 503 "keys-unavailable" "The issuer's keys are not available",
    DomainUnavailable = 503 "domain-unavailable" "The account's domain cannot be found out",
    CredentialsUnavailable = 503 "credentials-unavailable" "Upstream credentials are not available",
    Overloaded = 503 "overloaded" "The gateway is at its limit",
    Draining = 503 "draining" "The gateway is stopping",
    UpstreamTimeout = 504 "upstream-timeout" "Upstream did not answer in time",
}

impl Code {
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
    /// The `detail` of RFC 9457: the fault of this request and its remedy, without secrets.
    pub detail: Cow<'static, str>,
    /// Whether any part of the request was sent upstream. A repeat is safe only if it is `No`.
    pub sent: Sent,
    /// For `audit-unavailable`: the cause.
    pub cause: Option<&'static str>,
    /// Upstream's status, if `sent` is `yes`.
    pub upstream_status: Option<u16>,
    /// Seconds for `Retry-After`.
    pub retry_after: Option<u32>,
    /// For `method-not-allowed`: the value of `Allow`.
    pub allow: Option<String>,
    /// For `scope-missing`: the required scope, for the challenge.
    pub scope: Option<String>,
    /// For a deletion that was sent: its receipt.
    pub receipt: Option<Receipt>,
}

/// The result of a check.
pub type Checked<T> = Result<T, Box<Refusal>>;

impl Refusal {
    /// A refusal before any part of the request was sent.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = matches!(code.status_u16(), 503 | 429).then_some(1);
        Self {
            code,
            detail: detail.into(),
            sent: Sent::No,
            cause: None,
            upstream_status: None,
            retry_after,
            allow: None,
            scope: None,
            receipt: None,
        }
    }

    /// A body longer than `most` bytes.
    #[must_use]
    pub fn body_too_large(most: u64) -> Self {
        Self::new(
            Code::BodyTooLarge,
            format!("The body is longer than the {most} bytes that are allowed."),
        )
    }

    /// The refusal for this fault of the body.
    #[must_use]
    pub fn of_body(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge => Self::new(
                Code::BodyTooLarge,
                "The body is longer than this gateway allows ([limits] max_body_bytes).",
            ),
            BodyFault::Late => Self::new(
                Code::RequestTimeout,
                "The body did not arrive in time ([limits] body_timeout).",
            ),
            BodyFault::Broken => Self::new(
                Code::RequestMalformed,
                "The body was cut short, or its chunked framing is broken.",
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
