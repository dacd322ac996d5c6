//! Checks that this machine has what `run` needs: the audit folder, files, ports, descriptors, space.
//! The checks create and change no file.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::process::{self, Holder};
use crate::admin;
use crate::audit::disk::{Disk, RealDisk};
use crate::audit::log::key;
use crate::audit::{self, Cause, Unavailable};
use crate::config::{Config, Level, OfMachine};
use crate::control::client;
use crate::fetch::Fetch;
use crate::inbound::can_bind;
use crate::layers::credentials::{self, Credentials};
use crate::tls::ClientTls;
use crate::token::KeySource;

/// The maximum number of concurrent connections to the admin listener.
pub(super) const MAX_ADMIN_CONNECTIONS: usize = 256;
/// The number of descriptors that are not for connections: the trail, logs, the runtime, key files.
const BESIDE_CONNECTIONS: u64 = 64;

/// Everything on this machine that can affect `run`: errors, warnings and notes. If `online`, this also
/// tries to fetch the issuers' keys.
pub async fn findings(config: &Config, online: bool) -> Vec<OfMachine> {
    let closed = audit::preflight(&config.audit).err();
    let own = closed.as_ref().and_then(|closed| running(config, closed));
    let mut found: Vec<_> = closed
        .map(|closed| trail(config, closed, own.as_ref()))
        .into_iter()
        .collect();
    found.extend(ports(config, own.as_ref()));
    found.extend(files(config, online).await);
    found.extend(space(config));
    found.extend(seen_file(config));
    found.extend(warnings(config));
    found
}

/// The findings that do not stop a start. A start logs them as warnings.
pub(super) fn warnings(config: &Config) -> Vec<OfMachine> {
    let limit = getrlimit(Resource::Nofile).maximum;
    let descriptors = limit.and_then(|limit| descriptors(config, limit));
    modes(config).into_iter().chain(descriptors).collect()
}

/// Raises the limit on open descriptors to the maximum for this process. Shells and service managers
/// often set a low limit, and the process itself may raise that limit.
pub fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // If this fails, the lower limit stays, and the gateway reports a lack of descriptors when it
    // occurs.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn found(level: Level, key: &str, message: impl Into<String>, hint: &str) -> OfMachine {
    OfMachine {
        level,
        key: key.to_owned(),
        message: message.into(),
        hint: hint.to_owned(),
    }
}

/// The gateway that runs with this config, if there is one. Such a gateway holds the lock in the audit
/// folder.
fn running(config: &Config, closed: &Unavailable) -> Option<Holder> {
    let pid = audit::lock_holder(&RealDisk, &config.audit);
    let by_command = pid.and_then(|pid| process::serves(pid, &config.path));
    let is_own = || by_command.unwrap_or_else(|| client::listens(&config.audit.directory));
    (closed.cause == Cause::Locked && is_own()).then_some(Holder { pid })
}

fn trail(config: &Config, closed: Unavailable, own: Option<&Holder>) -> OfMachine {
    let Unavailable { cause, detail } = closed;
    let key = match cause {
        Cause::KeyUnusable => "audit.key_file",
        _ => "audit.directory",
    };
    if let Some(own) = own {
        let message = format!("{own} holds the trail's lock: it is the gateway of this config");
        let hint = "nothing to do: its /readyz?verbose shows the state of the trail";
        return found(Level::Note, "audit.directory", message, hint);
    }
    let folder = config.audit.directory.display();
    let message = format!(
        "deletions would be refused in {folder}: {}: {detail}",
        cause.as_str()
    );
    found(Level::Error, key, message, &cause.remedy())
}

fn ports(config: &Config, own: Option<&Holder>) -> Vec<OfMachine> {
    let listeners = [
        ("listen", config.listen.address),
        ("admin", config.admin.address),
    ];
    let check = |(table, address): (&str, std::net::SocketAddr)| {
        let error = can_bind(address).err()?;
        let key = format!("{table}.address");
        let holder = process::listener(address);
        // A gateway whose trail is closed may hold no lock, so this also compares the command.
        let is_own = match holder.and_then(|holder| holder.pid) {
            Some(pid) => {
                own.is_some_and(|own| own.pid == Some(pid))
                    || process::serves(pid, &config.path) == Some(true)
            }
            None => own.is_some(),
        };
        if error.kind() == std::io::ErrorKind::AddrInUse && is_own {
            let own = holder.or(own.copied()).unwrap_or(Holder { pid: None });
            let message = format!("{own} listens on {address}: it is the gateway of this config");
            let hint = "nothing to do: a restart frees the port first";
            return Some(found(Level::Note, &key, message, hint));
        }
        let (message, hint) = cannot_listen(table, address, &error);
        Some(found(Level::Error, &key, message, hint))
    };
    listeners.into_iter().filter_map(check).collect()
}

/// Why a listener cannot be bound, and what to do.
pub(super) fn cannot_listen(
    table: &str,
    address: std::net::SocketAddr,
    error: &std::io::Error,
) -> (String, &'static str) {
    let mut message = format!("cannot listen on {address} ([{table}] address): {error}");
    let hint = match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "name a port from 1024 on, or give the gateway CAP_NET_BIND_SERVICE"
        }
        std::io::ErrorKind::AddrNotAvailable => "name an address of this machine",
        _ => {
            if let Some(holder) = process::listener(address) {
                message.push_str(&format!(": {holder} listens there"));
            }
            "stop what listens there, or name another address"
        }
    };
    (message, hint)
}

/// Checks the files that a start reads, by reading them in the same way.
async fn files(config: &Config, online: bool) -> Vec<OfMachine> {
    let mut wrong = Vec::new();
    let mut add = |key: &str, result: Result<(), String>, hint: &str| {
        if let Err(message) = result {
            wrong.push(found(Level::Error, key, message, hint));
        }
    };
    let roots = config.outbound.roots_file.as_deref();
    let tls = ClientTls::new(roots);
    let hint = "a PEM file with the certificates to trust";
    add(
        "upstream.roots_file",
        tls.as_ref().map(drop).map_err(Clone::clone),
        hint,
    );
    let made = Credentials::new(config.credentials.clone()).map(drop);
    let hint = "a file that contains only the token";
    add("credentials.token_file", made, hint);
    add("admin.token_file", admin::check_token(&config.admin), hint);
    let Ok(tls) = tls else {
        return wrong;
    };
    let fetch = Fetch::new(tls);
    for (number, issuer) in config.issuers.iter().enumerate() {
        let (key, hint) = match &issuer.keys {
            KeySource::File(_) => ("jwks_file", "a JWK set with the issuer's public keys"),
            KeySource::Url(_) if !online => continue,
            KeySource::Url(_) => (
                "jwks_url",
                "the gateway would refuse this issuer's tokens with `keys-unavailable`: correct the URL, or wait for the provider",
            ),
        };
        add(
            &format!("issuer.{number}.{key}"),
            issuer.read_keys(&fetch).await,
            hint,
        );
    }
    wrong
}

fn space(config: &Config) -> Option<OfMachine> {
    let folder = audit::nearest(&config.audit.directory);
    let free = RealDisk.folder(folder, None).ok()?.free_bytes().ok()?;
    let levels = config.audit.space;
    let (key, level) = match free {
        _ if free < levels.low => ("free_space_low", levels.low),
        _ if free < levels.warn => ("free_space_warn", levels.warn),
        _ => return None,
    };
    let (free, level) = (free >> 20, level >> 20);
    let message =
        format!("{free} MiB are free on the trail's disk, less than `audit.{key}` ({level} MiB)");
    let hint = "add space before it is full: deletions are refused then";
    Some(found(
        Level::Warning,
        &format!("audit.{key}"),
        message,
        hint,
    ))
}

fn seen_file(config: &Config) -> Option<OfMachine> {
    let message = audit::unwatched(&config.audit.seen_file)?;
    let hint = "name a file whose folder the gateway's user can write, apart from the audit folder";
    Some(found(Level::Warning, "audit.seen_file", message, hint))
}

/// Warnings about files that every user of the machine can read or change.
fn modes(config: &Config) -> Vec<OfMachine> {
    let mut open = Vec::new();
    if let Some(message) = key::exposed(&config.audit.key_file) {
        let hint = format!("chmod o= {}", config.audit.key_file.display());
        open.push(found(Level::Warning, "audit.key_file", message, &hint));
    }
    let bearer = match &config.credentials {
        credentials::Settings::Bearer(file) => Some(file),
        credentials::Settings::Strip | credentials::Settings::Forward => None,
    };
    for (key, file) in [
        ("admin.token_file", config.admin.token_file.as_ref()),
        ("credentials.token_file", bearer),
        (
            "audit.reconcile_token_file",
            config.reconcile.token_file.as_ref(),
        ),
    ] {
        if let Some((file, mode)) = file.and_then(|file| Some((file, mode(file, 0o007)?))) {
            let file = file.display();
            let message = format!(
                "the token in {file} is open to every user of this machine (mode {mode:04o})"
            );
            let hint = format!("chmod o= {file}");
            open.push(found(Level::Warning, key, message, &hint));
        }
    }
    if let Some(mode) = mode(&config.audit.directory, 0o002) {
        let folder = config.audit.directory.display();
        let message =
            format!("every user of this machine can remove files from {folder} (mode {mode:04o})");
        let hint = format!("chmod 0750 {folder}");
        open.push(found(Level::Warning, "audit.directory", message, &hint));
    }
    open
}

/// The mode of a file, if the mode has any of these bits.
fn mode(path: &Path, bits: u32) -> Option<u32> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & bits != 0).then_some(mode)
}

/// The warning if the config may need more descriptors than `limit`. `limit` is the most that
/// [`raise_descriptor_limit`] can reach.
pub(super) fn descriptors(config: &Config, limit: u64) -> Option<OfMachine> {
    let upstream = config.outbound.max_connections * config.domains.origin_count();
    let callers = config.listen.max_connections;
    let connections = (callers + upstream + MAX_ADMIN_CONNECTIONS) as u64;
    let needed = connections + BESIDE_CONNECTIONS;
    if limit >= needed {
        return None;
    }
    let level = match limit < BESIDE_CONNECTIONS {
        true => Level::Error,
        false => Level::Warning,
    };
    let message = format!(
        "a process may open {limit} files here, and this config allows {connections} connections: {callers} of callers, {upstream} to upstream, {MAX_ADMIN_CONNECTIONS} to the admin listener"
    );
    let hint = format!(
        "allow {needed} files (LimitNOFILE={needed}, `ulimit -n {needed}`), or lower max_connections"
    );
    Some(found(level, "listen.max_connections", message, &hint))
}
