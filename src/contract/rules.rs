//! Finds contradictions in a contract, for example those that would leave a deletion unrecorded or
//! a request ambiguous.

use super::operation::{BodyRule, Effect};
use super::table::{Closed, Route};
use crate::strict_toml::{Placed, Reading};

/// The hint for a fault whose message already names the correction.
pub(super) const EXAMPLE: &str = "see config/contracts/liveperson-users-4.0.toml for an example";

/// Returns the contradictions between the keys of one operation.
pub(super) fn contradictions(route: &Route) -> Vec<&'static str> {
    let operation = &route.operation;
    let has_user = route.template.has_user();
    let is_delete = operation.effect == Effect::Delete;
    let takes_content = matches!(operation.body, BodyRule::Pass | BodyRule::Ids);
    let rules = [
        (
            !route.template.has_account(),
            "its path must have {account}: a caller is permitted by account",
        ),
        (
            operation.method == "DELETE" && !is_delete,
            "its method is DELETE, so its effect must be delete: anything else would leave deletions unrecorded",
        ),
        (
            operation.method == "GET" && operation.effect != Effect::Read,
            "its method is GET, which may be sent twice, so its effect must be read",
        ),
        (
            operation.effect == Effect::Read && takes_content,
            "it is a read, so its body must be none or empty-json",
        ),
        (
            is_delete && has_user && operation.body != BodyRule::None,
            "it deletes the user in its path, so its body must be none",
        ),
        (
            is_delete && !has_user && operation.body != BodyRule::Ids,
            "it deletes, so it must name the users: by {user} in its path, or by a body of ids",
        ),
        (
            !is_delete && operation.body == BodyRule::Ids,
            "only a deletion takes a body of ids",
        ),
        (
            is_delete && operation.unconditional_scope.is_none(),
            "it deletes, so it needs an unconditional_scope, for `If-Match: -1` and `*`",
        ),
    ];
    rules
        .into_iter()
        .filter_map(|(broken, fault)| broken.then_some(fault))
        .collect()
}

/// Reports two operations with the same name, two operations that one request could match, and an
/// operation that a closed path hides.
pub(super) fn clashes(routes: &[Placed<Route>], closed: &[Closed], reading: &Reading) {
    for (at, later) in routes.iter().enumerate() {
        let name = &later.value.operation.name;
        let report = |message: String| reading.add(&later.span, message, EXAMPLE);
        for earlier in routes.iter().take(at) {
            let first = &earlier.value.operation.name;
            if first == name {
                report(format!(
                    "`{name}` appears twice: each operation needs a name of its own"
                ));
            } else if earlier.value.overlaps(&later.value) {
                report(format!(
                    "`{name}` and `{first}` claim the same path and method"
                ));
            }
        }
        if closed
            .iter()
            .any(|closed| closed.template.covers(&later.value.template))
        {
            report(format!(
                "`{name}` could never be reached: its path is closed"
            ));
        }
    }
}
