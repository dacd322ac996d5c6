//! Why a token is not accepted.

/// Why a token is not accepted. Each is one refusal code of docs/refusals.md; the texts are fixed and
/// hold nothing of the token.
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
    Claims(&'static str),
    Binding,
    /// No key set of this issuer was ever read.
    KeysUnavailable,
}
