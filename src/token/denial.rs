//! The reasons for denying a token.

use std::borrow::Cow;

/// Why the verifier denies a token. Each variant is one refusal code of docs/refusals.md. A text
/// may contain the claim names of the config, but no part of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the refusal code of its name")]
pub enum Denial {
    Malformed(&'static str),
    Signature,
    Algorithm,
    KeyUnknown,
    Expired,
    NotYetValid,
    Issuer,
    Audience,
    Type(&'static str),
    Claims(Cow<'static, str>),
    Binding,
    /// The gateway has not yet read a key set of this issuer. The reason is for the operator, since
    /// it may contain the path of a file or an address.
    KeysUnavailable(String),
}
