//! The reasons for denying a token.

/// Why the verifier denies a token. Each variant is one refusal code of docs/refusals.md. The texts
/// are fixed and contain no part of the token.
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
    /// The gateway has not yet read a key set of this issuer.
    KeysUnavailable,
}
