//! The end of every refusal's text: whether the caller may repeat the request, and who must act.

use crate::audit::entry::Sent;

/// Who must act so that the request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The caller changes the request, or fetches another token.
    Caller,
    /// The token's issuer must issue a different token.
    Issuer,
    /// The operator of the gateway.
    Operator,
    /// Nobody: the cause goes away by itself.
    Nobody,
}

/// When the caller may repeat the request. Every value except `Never` assumes that no byte was sent upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// After the caller has fixed the request.
    OnceFixed,
    /// With another token.
    WithAnotherToken,
    /// After the time in `Retry-After`.
    AfterRetryAfter,
    /// In a few seconds.
    InAFewSeconds,
    /// After the operator has acted.
    OnceMended,
    /// Never: the request was sent.
    Never,
}

/// The last sentences of a refusal's text. `read_back` names what the caller should read after a request that
/// may have changed something; it is `None` for a read.
pub(super) fn advice(actor: Actor, repeat: Repeat, sent: Sent, read_back: Option<&str>) -> String {
    let mut text = match (repeat, sent, read_back) {
        (Repeat::Never, _, what) | (_, Sent::Yes | Sent::Unknown, what @ Some(_)) => {
            let what = what.unwrap_or("the user");
            format!("Do not repeat; read {what}, then decide.")
        }
        (_, Sent::No, _) => format!("Nothing was sent: {}.", when(repeat)),
        (_, _, None) => format!("A read changes nothing: {}.", when(repeat)),
    };
    if actor == Actor::Operator {
        text.push_str(" The operator finds the reason in the log under the request id.");
    }
    text
}

fn when(repeat: Repeat) -> &'static str {
    match repeat {
        Repeat::OnceFixed => "fix the request before you repeat it",
        Repeat::WithAnotherToken => "you may repeat the request with another token",
        Repeat::AfterRetryAfter => "you may repeat the request after the time in Retry-After",
        Repeat::InAFewSeconds => "you may repeat the request in a few seconds",
        Repeat::OnceMended => "a repeat is refused until the operator has acted",
        Repeat::Never => "do not repeat the request",
    }
}
