//! Finds the config changes that need a restart, because a reload cannot apply them: it rebinds no
//! socket and does not open the trail again.

use crate::config::Config;
use crate::{admin, audit, inbound, reconcile};

/// The reason why a running gateway cannot replace `old` by `new`, if there is one. The reason names
/// every changed key that needs a restart.
pub(super) fn needed(old: &Config, new: &Config) -> Option<String> {
    let mut keys = listen(&old.listen, &new.listen);
    keys.extend(admin(&old.admin, &new.admin));
    keys.extend(audit(&old.audit, &new.audit));
    keys.extend(reconcile(&old.reconcile, &new.reconcile));
    let changed = keys.into_iter().filter(|(_, changed)| *changed);
    let names: Vec<_> = changed.map(|(key, _)| format!("`{key}`")).collect();
    let (last, before) = names.split_last()?;
    let list = match before {
        [] => last.clone(),
        _ => format!("{} and {last}", before.join(", ")),
    };
    Some(format!("a change to {list} needs a restart"))
}

/// A key, and whether it changed.
type Key = (&'static str, bool);

// Each function below names every field of its settings, so that nobody can add a key and forget it
// here.

fn listen(old: &inbound::Settings, new: &inbound::Settings) -> Vec<Key> {
    let inbound::Settings {
        address,
        max_connections,
        head_timeout,
        idle_timeout,
        half_close_grace,
        drain_timeout,
    } = new;
    vec![
        ("listen.address", old.address != *address),
        (
            "listen.max_connections",
            old.max_connections != *max_connections,
        ),
        ("listen.head_timeout", old.head_timeout != *head_timeout),
        ("listen.idle_timeout", old.idle_timeout != *idle_timeout),
        (
            "listen.half_close_grace",
            old.half_close_grace != *half_close_grace,
        ),
        ("listen.drain_timeout", old.drain_timeout != *drain_timeout),
    ]
}

fn admin(old: &admin::Settings, new: &admin::Settings) -> Vec<Key> {
    let admin::Settings {
        address,
        token_file,
        hosts,
    } = new;
    vec![
        ("admin.address", old.address != *address),
        ("admin.token_file", old.token_file != *token_file),
        ("admin.hosts", old.hosts != *hosts),
    ]
}

fn audit(old: &audit::Settings, new: &audit::Settings) -> Vec<Key> {
    let audit::Settings {
        directory,
        origin,
        key_file,
        sync_timeout,
        segment_bytes,
        space,
        seen_file,
        heartbeat,
    } = new;
    // By default, the path of the seen file derives from that of the key file. Then only
    // `audit.key_file` counts as changed.
    let follows = |settings: &audit::Settings| {
        settings.seen_file == audit::Settings::seen_beside(&settings.key_file)
    };
    let is_own = !(follows(old) && follows(new));
    vec![
        ("audit.directory", old.directory != *directory),
        ("audit.origin", old.origin != *origin),
        ("audit.key_file", old.key_file != *key_file),
        ("audit.sync_timeout", old.sync_timeout != *sync_timeout),
        ("audit.segment_bytes", old.segment_bytes != *segment_bytes),
        ("audit.free_space_warn", old.space.warn != space.warn),
        ("audit.free_space_low", old.space.low != space.low),
        ("audit.seen_file", is_own && old.seen_file != *seen_file),
        ("audit.heartbeat", old.heartbeat != *heartbeat),
    ]
}

fn reconcile(old: &reconcile::Settings, new: &reconcile::Settings) -> Vec<Key> {
    let reconcile::Settings {
        on_start,
        token_file,
    } = new;
    vec![
        ("audit.reconcile", old.on_start != *on_start),
        ("audit.reconcile_token_file", old.token_file != *token_file),
    ]
}
