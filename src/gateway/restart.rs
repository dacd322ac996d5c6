//! Finds the changes that a reload cannot apply: bound sockets and the open trail need a restart.

use crate::config::Config;

/// The reason why a running gateway cannot replace `old` by `new`, if there is one.
pub(super) fn needed(old: &Config, new: &Config) -> Option<String> {
    let changed = [
        (old.listen != new.listen, "[listen]"),
        (old.admin != new.admin, "[admin]"),
        (
            old.audit != new.audit || old.reconcile != new.reconcile,
            "[audit]",
        ),
    ];
    let names: Vec<_> = changed
        .iter()
        .filter_map(|(changed, name)| changed.then_some(*name))
        .collect();
    if names.is_empty() {
        return None;
    }
    Some(format!(
        "a change to {} needs a restart; the config before it stays in force",
        names.join(" and ")
    ))
}
