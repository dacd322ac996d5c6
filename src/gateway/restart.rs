//! Finds the changes that a reload cannot apply: bound sockets and the open trail need a restart.

use crate::audit;
use crate::config::Config;

/// The reason why a running gateway cannot replace `old` by `new`, if there is one.
pub(super) fn needed(old: &Config, new: &Config) -> Option<String> {
    let changed = [
        (old.listen != new.listen, "[listen]"),
        (old.admin != new.admin, "[admin]"),
        (
            !same_trail(&old.audit, &new.audit) || old.reconcile != new.reconcile,
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

/// Names every field, so that a new field cannot be forgotten here.
fn same_trail(old: &audit::Settings, new: &audit::Settings) -> bool {
    let audit::Settings {
        directory,
        origin,
        key_file,
        sync_timeout,
        segment_bytes,
        space,
        seen_file,
        heartbeat,
    } = old;
    *directory == new.directory
        && *origin == new.origin
        && *key_file == new.key_file
        && *sync_timeout == new.sync_timeout
        && *segment_bytes == new.segment_bytes
        && *space == new.space
        && *seen_file == new.seen_file
        && *heartbeat == new.heartbeat
}
