//! The reasons for denying a token.

use std::borrow::Cow;

/// Why the verifier denies a token. Each variant is one refusal code of docs/refusals.md. The text
/// of a denial can contain claim names from the config, but never a part of the token.
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
    /// The gateway has not yet read a key set of this issuer. Only the operator may see the reason,
    /// because it can contain the path of a file or an address.
    KeysUnavailable(String),
}
