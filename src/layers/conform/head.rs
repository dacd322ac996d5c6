//! Checks the path, the query and `If-Match` against the contract.

use http::header::IF_MATCH;
use http::{HeaderMap, HeaderValue};

use crate::contract::if_match::{self, IfMatch};
use crate::contract::query::VersionFault;
use crate::contract::{BodyRule, Effect, Operation, path};
use crate::layers::route::Routed;
use crate::refusal::{Checked, Code, Refusal};

/// Refuses a head that does not fit the contract.
pub(super) fn check(routed: &Routed) -> Checked<()> {
    check_ids_in_path(routed)?;
    check_version(routed)?;
    check_ids_query(routed)?;
    check_if_match(routed)
}

fn check_ids_in_path(routed: &Routed) -> Checked<()> {
    let matched = routed.context().matched.known();
    if !path::is_account(&matched.account) {
        return Refusal::new(
            Code::AccountIdInvalid,
            "The account id in the path is not 1 to 20 letters, digits or underscores.",
        )
        .refuse();
    }
    if matched
        .user
        .as_deref()
        .is_some_and(|user| !path::is_user_id(user))
    {
        return Refusal::new(
            Code::UserIdInvalid,
            "The user id in the path is not a decimal integer from 1 to 9223372036854775807 \
             without sign or leading zero.",
        )
        .refuse();
    }
    Ok(())
}

fn check_version(routed: &Routed) -> Checked<()> {
    let wanted = &routed.operation().version;
    match routed.query().check_version(wanted) {
        Ok(()) => Ok(()),
        Err(VersionFault::Missing) => Refusal::new(
            Code::VersionMissing,
            format!("The query parameter v is missing. Add v={wanted}."),
        )
        .refuse(),
        Err(VersionFault::Unsupported) => Refusal::new(
            Code::VersionUnsupported,
            format!("The query parameter v is not exactly {wanted}. Send v={wanted}."),
        )
        .refuse(),
        Err(VersionFault::Ambiguous) => Refusal::new(
            Code::VersionAmbiguous,
            format!("The query parameter v appears more than once. Send v={wanted} once."),
        )
        .refuse(),
    }
}

fn check_ids_query(routed: &Routed) -> Checked<()> {
    let (query, operation) = (routed.query(), routed.operation());
    if query.ids_after_semicolon > 0 && operation.effect != Effect::Read {
        return Refusal::new(
            Code::RequestMalformed,
            "A query parameter ids stands behind `;`. Separate parameters with `&`.",
        )
        .refuse();
    }
    if operation.effect == Effect::Delete
        && operation.body != BodyRule::Ids
        && !query.ids.is_empty()
    {
        return Refusal::new(
            Code::RequestMalformed,
            "The deletion of one user takes no query parameter ids: the path names the user.",
        )
        .refuse();
    }
    Ok(())
}

fn check_if_match(routed: &Routed) -> Checked<()> {
    let operation = routed.operation();
    let Some(value) = if_match(operation, &routed.head().headers)? else {
        return Ok(());
    };
    let condition = match if_match::parse(value.as_bytes()) {
        Ok(condition) => condition,
        Err(why) => return malformed(why).refuse(),
    };
    let Some(scope) = &operation.unconditional_scope else {
        return Ok(());
    };
    let caller = routed.context().identity.known();
    if condition == IfMatch::Unconditional && !caller.holds(scope) {
        return Refusal::new(
            Code::IfMatchUnconditional,
            format!(
                "If-Match -1 and * switch off the check of the revision, for which the token needs \
                 the scope {scope}. Send the revision you last read (ac-revision)."
            ),
        )
        .with_scope(scope.clone())
        .refuse();
    }
    Ok(())
}

/// Returns the value of `If-Match` to judge. An optional `If-Match` can also switch off upstream's check of
/// the revision, so the gateway judges it like a required `If-Match`.
fn if_match<'h>(operation: &Operation, headers: &'h HeaderMap) -> Checked<Option<&'h HeaderValue>> {
    if !operation.if_match_required && operation.unconditional_scope.is_none() {
        return Ok(None);
    }
    let mut values = headers.get_all(IF_MATCH).iter();
    match (values.next(), values.next()) {
        (None, _) if operation.if_match_required => Refusal::new(
            Code::IfMatchMissing,
            "If-Match is missing. Send the revision you last read (ac-revision).",
        )
        .refuse(),
        (value, None) => Ok(value),
        _ => malformed("If-Match appears more than once: send it once").refuse(),
    }
}

fn malformed(why: &str) -> Refusal {
    Refusal::new(Code::IfMatchMalformed, format!("{why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(required: bool, scope: Option<&str>) -> Operation {
        Operation {
            name: "users.delete".into(),
            method: "DELETE".to_owned(),
            effect: Effect::Delete,
            version: "4.0".to_owned(),
            if_match_required: required,
            body: BodyRule::None,
            scope: "users.delete".to_owned(),
            unconditional_scope: scope.map(str::to_owned),
            carriers: Vec::new(),
        }
    }

    #[test]
    fn an_optional_if_match_is_judged_if_a_scope_guards_it() {
        let is_judged = |operation: &Operation, is_there| {
            let mut headers = HeaderMap::new();
            if is_there {
                headers.insert(IF_MATCH, HeaderValue::from_static("*"));
            }
            if_match(operation, &headers).map_or(true, |value| value.is_some())
        };
        assert!(is_judged(&operation(false, Some("s")), true));
        assert!(!is_judged(&operation(false, Some("s")), false));
        assert!(!is_judged(&operation(false, None), true));
        assert!(is_judged(&operation(true, None), false));
    }
}
