//! Defines every section and key of the config file, with type, default and range.
//!
//! Each function reads one section, checks the section and the files that the section names, and
//! returns the settings. A function returns `None` only after it has added a problem.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::named::{self, Named};
use super::{Config, contracts, digest, issuer, url};
use crate::layers::credentials;
use crate::strict_toml::{Table, quoted};
use crate::telemetry::Format;
use crate::{admin, audit, contract, domain, inbound, outbound, reconcile, request, telemetry};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}
const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
const HOUR: Duration = seconds(3_600);
const MODES: [(&str, &str); 3] = [
    ("strip", "strip"),
    ("forward", "forward"),
    ("bearer", "bearer"),
];
const LEVELS: [(&str, LevelFilter); 5] = [
    ("error", LevelFilter::ERROR),
    ("warn", LevelFilter::WARN),
    ("info", LevelFilter::INFO),
    ("debug", LevelFilter::DEBUG),
    ("trace", LevelFilter::TRACE),
];
const FORMATS: [(&str, Format); 3] = [
    ("auto", Format::Auto),
    ("pretty", Format::Pretty),
    ("json", Format::Json),
];

/// Reads the complete file. The config is valid only if there is no problem.
pub(super) fn read(mut root: Table<'_>, text: &str, named: &Named<'_>) -> Option<Config> {
    // Read every section before the first return, so that the findings include all problems.
    let listen = listen(root.table("listen"));
    let admin = admin(root.table("admin"), listen.as_ref(), named);
    let limits = limits(root.table("limits"));
    let issuers = issuer::read_all(&mut root, named);
    let domains = domains(root.table("domains"));
    let credentials = credentials(root.table("credentials"), named);
    let outbound = upstream(root.table("upstream"), named);
    let (audit, reconcile) = audit(root.table("audit"), credentials.as_ref(), named);
    let contracts = contracts::load(root.table("contract"), named);
    let telemetry = log(root.table("log"));
    root.end();
    let contracts = contracts?;
    Some(Config {
        path: named.config.to_owned(),
        listen: listen?,
        admin,
        limits,
        issuers: issuers?,
        domains: Arc::new(domains),
        credentials: credentials?,
        outbound,
        audit: audit?,
        reconcile,
        telemetry,
        hash: digest::of_config(text, &contracts),
        contract_hashes: digest::of_each(&contracts),
        contracts: Arc::new(contracts),
        source: text.into(),
    })
}

fn listen(mut table: Table<'_>) -> Option<inbound::Settings> {
    table.require("address", "such as address = \"127.0.0.1:8080\"");
    let address = address(&mut table);
    let max_connections = table.number("max_connections", 10_000, 1..=1_000_000);
    let head_timeout = table.duration("head_timeout", seconds(30), millis(100)..=HOUR);
    let idle_timeout = table.duration("idle_timeout", seconds(75), millis(100)..=HOUR);
    let half_close_grace = table.duration("half_close_grace", seconds(5), millis(0)..=HOUR);
    // Zero is allowed: with zero, a stopping gateway closes all deletions in flight as `unknown` at
    // once.
    let drain_timeout = table.duration("drain_timeout", seconds(25), Duration::ZERO..=HOUR);
    table.end();
    Some(inbound::Settings {
        address: address?,
        max_connections: count(max_connections),
        head_timeout,
        idle_timeout,
        half_close_grace,
        drain_timeout,
    })
}

fn admin(
    mut table: Table<'_>,
    listen: Option<&inbound::Settings>,
    named: &Named<'_>,
) -> admin::Settings {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 9080));
    let address = address(&mut table).unwrap_or(default);
    if let Some(callers) = listen.map(|listen| listen.address)
        && overlap(address, callers)
    {
        let wrong = match address == callers {
            true => "is the same as `listen.address`",
            false => {
                "takes the port of `listen.address`, since one of both takes it on every address"
            }
        };
        table.wrong(
            "address",
            wrong,
            "give the admin listener a port of its own",
        );
    }
    let token_file = named.token(&mut table, "token_file");
    if token_file.is_none() && !address.ip().is_loopback() {
        let span = table.span_of("address");
        let wrong = "is missing, and `admin.address` is beyond loopback";
        let hint = "name a file with a token, or listen on 127.0.0.1";
        table.wrong_at(&span, "token_file", wrong, hint);
    }
    let hosts = table.list("hosts").unwrap_or_default();
    for host in &hosts {
        if host.value.parse::<http::uri::Authority>().is_err() || host.value.contains('@') {
            let wrong = "contains an entry that is not host[:port]";
            let hint = "a name or address as sent in Host, such as \"gate.example:9080\"";
            table.wrong_at(&host.span, "hosts", wrong, hint);
        }
    }
    table.end();
    admin::Settings {
        address,
        token_file,
        hosts: hosts.into_iter().map(|host| host.value).collect(),
    }
}

/// Whether two addresses overlap, so that one process cannot listen on both.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    // On Linux, the unspecified address of IPv6 also takes the port of every IPv4 address.
    let covers = |a: SocketAddr, b: SocketAddr| {
        a.ip() == b.ip() || a.ip().is_unspecified() && (a.is_ipv6() || b.is_ipv4())
    };
    one.port() == other.port() && one.port() != 0 && (covers(one, other) || covers(other, one))
}

fn limits(mut table: Table<'_>) -> request::Limits {
    // The largest allowed `max_uri_bytes` and `max_head_bytes` together stay below 128 KiB, the
    // limit of the HTTP parser. So the gateway itself, not the parser, refuses a long request, with
    // a refusal code.
    let limits = request::Limits {
        max_uri_bytes: count(table.size("max_uri_bytes", 16 * KIB, 256..=60 * KIB)),
        max_head_bytes: count(table.size("max_head_bytes", 32 * KIB, KIB..=64 * KIB)),
        max_body_bytes: table.size("max_body_bytes", 8 * MIB, KIB..=GIB),
        body_timeout: table.duration("body_timeout", seconds(30), millis(100)..=HOUR),
        max_deletions: count(table.number("max_deletions", 1_024, 1..=65_536)),
    };
    table.end();
    limits
}

fn domains(mut table: Table<'_>) -> domain::Directory {
    let listed = table.table("accounts");
    let plaintext = table.flag("plaintext", false);
    let entries = listed.entries();
    if entries.is_empty() {
        let wrong = "is missing or empty: no account could be served";
        let hint = "add a section [domains.accounts] with lines such as \"12345678\" = \"https://va.ac.liveperson.net\"";
        table.wrong_at(&listed.span, "accounts", wrong, hint);
    }
    let mut accounts = BTreeMap::new();
    for (account, address) in entries {
        let shown = quoted(&account.value);
        if !contract::path::is_account(&account.value) {
            let hint = "1 to 20 letters, digits or underscores";
            listed.wrong_at(&account.span, &shown, "is not an account id", hint);
        }
        match url::origin(&address.value, plaintext) {
            Ok(origin) => {
                accounts.insert(account.value, Arc::new(origin));
            }
            Err(wrong) => listed.wrong_at(&address.span, &shown, wrong.what, wrong.hint),
        }
    }
    table.end();
    domain::Directory { accounts }
}

fn credentials(mut table: Table<'_>, named: &Named<'_>) -> Option<credentials::Settings> {
    let mode = table.word("mode", &MODES).unwrap_or("strip");
    let settings = match (mode, named.path(&mut table, "token_file")) {
        ("bearer", Some(file)) => {
            named::check_token(&table, "token_file", &file);
            Some(credentials::Settings::Bearer(file))
        }
        ("bearer", None) => {
            let span = table.span_of("mode");
            let wrong = "is missing, and mode \"bearer\" sends the token in that file";
            let hint = "name a file with the token for upstream";
            table.wrong_at(&span, "token_file", wrong, hint);
            None
        }
        (other, Some(_)) => {
            let wrong = format!("has no effect with mode \"{other}\"");
            let hint = "write mode = \"bearer\", or remove this key";
            table.wrong("token_file", &wrong, hint);
            None
        }
        ("forward", None) => Some(credentials::Settings::Forward),
        (_, None) => Some(credentials::Settings::Strip),
    };
    table.end();
    settings
}

fn upstream(mut table: Table<'_>, named: &Named<'_>) -> outbound::Settings {
    let range = millis(10)..=HOUR;
    let settings = outbound::Settings {
        connect_timeout: table.duration("connect_timeout", seconds(5), range.clone()),
        head_timeout: table.duration("head_timeout", seconds(30), range.clone()),
        total_timeout: table.duration("total_timeout", seconds(60), range.clone()),
        idle_timeout: table.duration("idle_timeout", seconds(60), range),
        max_connections: count(table.number("max_connections", 2_048, 1..=65_536)),
        roots_file: named.path(&mut table, "roots_file"),
    };
    if settings.head_timeout > settings.total_timeout {
        let hint = "raise total_timeout: it counts from the start of the request";
        table.wrong("head_timeout", "is longer than total_timeout", hint);
    }
    if let Some(file) = &settings.roots_file {
        named::check_roots(&table, "roots_file", file);
    }
    table.end();
    settings
}

fn audit(
    mut table: Table<'_>,
    credentials: Option<&credentials::Settings>,
    named: &Named<'_>,
) -> (Option<audit::Settings>, reconcile::Settings) {
    table.require(
        "directory",
        "the trail's folder, such as directory = \"audit\"",
    );
    table.require(
        "origin",
        "the log's name, such as origin = \"lychgate.example.com/edge-1\"",
    );
    table.require(
        "key_file",
        "the signing key, made by `lychgate audit keygen --origin NAME --out FILE`",
    );
    let directory = named.path(&mut table, "directory");
    let origin = table.parsed("origin", "visible ASCII without +, 1 to 255 bytes", origin);
    let key_file = named.path(&mut table, "key_file");
    let sync_timeout = table.duration("sync_timeout", seconds(2), millis(10)..=seconds(60));
    // A segment must hold at least one batch of up to 1 MiB.
    let segment_bytes = table.size("segment_bytes", 8 * MIB, 2 * MIB..=GIB);
    if !segment_bytes.is_multiple_of(4_096) {
        let hint = "a multiple of \"4KiB\"";
        table.wrong("segment_bytes", "is not whole blocks", hint);
    }
    let space = audit::status::space::Levels {
        // Zero is allowed: it disables the warning.
        warn: table.size("free_space_warn", GIB, 0..=1_024 * GIB),
        low: table.size("free_space_low", 256 * MIB, 0..=1_024 * GIB),
    };
    if space.low > space.warn {
        let hint = "free_space_warn comes first: raise it, or lower this";
        table.wrong("free_space_low", "is more than free_space_warn", hint);
    }
    let seen_file = named.path(&mut table, "seen_file");
    if let (Some(seen_file), Some(directory)) = (&seen_file, &directory)
        && seen_file.starts_with(directory)
    {
        let shown = named::shown(seen_file);
        let wrong = format!(
            "names {shown}, which lies in the trail's folder, so a restore of the folder would reset it"
        );
        let hint = "a file beside the key, on a disk that lasts";
        table.wrong("seen_file", &wrong, hint);
    }
    let heartbeat = table.duration("heartbeat", seconds(3_600), seconds(1)..=seconds(86_400));
    let reconcile = reconcile(&mut table, credentials, named);
    // This check compares the name in the key with `origin`, so it needs a valid `origin`.
    let key = key_file.zip(origin);
    if let Some((key_file, origin)) = &key {
        let directory = directory.as_deref();
        named::check_signing_key(&table, "key_file", key_file, origin, directory);
    }
    table.end();
    let settings = key.zip(directory);
    let settings = settings.map(|((key_file, origin), directory)| audit::Settings {
        directory,
        origin,
        seen_file: seen_file.unwrap_or_else(|| audit::Settings::seen_beside(&key_file)),
        key_file,
        sync_timeout,
        segment_bytes,
        space,
        heartbeat,
    });
    (settings, reconcile)
}

/// Reads the keys `reconcile` and `reconcile_token_file` of `[audit]`.
fn reconcile(
    table: &mut Table<'_>,
    credentials: Option<&credentials::Settings>,
    named: &Named<'_>,
) -> reconcile::Settings {
    let when = table.word("reconcile", &[("never", false), ("on_start", true)]);
    let settings = reconcile::Settings {
        on_start: when.unwrap_or(false),
        token_file: named.token(table, "reconcile_token_file"),
    };
    let has_own = matches!(credentials, None | Some(credentials::Settings::Bearer(_)));
    if settings.on_start && settings.token_file.is_none() && !has_own {
        let span = table.span_of("reconcile");
        let wrong = "is missing, and [credentials] has no token to read users back with";
        let hint = "name a file with a token for upstream, or write reconcile = \"never\"";
        table.wrong_at(&span, "reconcile_token_file", wrong, hint);
    }
    settings
}

fn log(mut table: Table<'_>) -> telemetry::Settings {
    let settings = telemetry::Settings {
        level: table.word("level", &LEVELS).unwrap_or(LevelFilter::INFO),
        format: table.word("format", &FORMATS).unwrap_or(Format::Auto),
    };
    table.end();
    settings
}

fn address(table: &mut Table<'_>) -> Option<SocketAddr> {
    let hint = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    table.parsed("address", hint, |text| {
        text.parse()
            .map_err(|_| "must be an IP address and a port".to_owned())
    })
}

/// Checks the name of the log. C2SP signed-note forbids spaces and `+`. The gateway also requires 1
/// to 255 bytes of visible ASCII.
fn origin(text: &str) -> Result<String, String> {
    if text == "lychgate-receipt" {
        return Err(
            "must not be `lychgate-receipt`, with which the signed text of every receipt begins"
                .to_owned(),
        );
    }
    if text.is_empty() || text.len() > 255 {
        return Err(format!(
            "must be 1 to 255 bytes long, and is {}",
            text.len()
        ));
    }
    match text.chars().find(|c| !c.is_ascii_graphic() || *c == '+') {
        Some(bad) => Err(format!("must not contain `{}`", bad.escape_debug())),
        None => Ok(text.to_owned()),
    }
}

/// Converts a count. The range of each count ends far below `usize::MAX`.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
