//! Every section and key of the file, with its type, default and range.
//!
//! This module reads only the file itself; [`super::resolve`] checks the files that it names.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use super::file_path::path;
use tracing::level_filters::LevelFilter;

use super::issuer::{self, Issuer};
use super::units::Units;
use crate::strict_toml::{Placed, Table};
use crate::telemetry::Format;

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

/// The complete file after reading.
#[derive(Debug)]
pub(super) struct File {
    pub(super) listen: Listen,
    pub(super) admin: Admin,
    pub(super) limits: Limits,
    pub(super) issuers: Vec<Issuer>,
    pub(super) domains: Domains,
    pub(super) credentials: Credentials,
    pub(super) upstream: Upstream,
    pub(super) audit: Audit,
    pub(super) contract: Contract,
    pub(super) log: Log,
}

/// `[listen]`.
#[derive(Debug)]
pub(super) struct Listen {
    pub(super) address: Option<Placed<SocketAddr>>,
    pub(super) max_connections: Placed<u64>,
    pub(super) head_timeout: Placed<Duration>,
    pub(super) drain_timeout: Placed<Duration>,
}

/// `[admin]`.
#[derive(Debug)]
pub(super) struct Admin {
    pub(super) address: Placed<SocketAddr>,
    pub(super) token_file: Option<Placed<String>>,
    pub(super) hosts: Vec<Placed<String>>,
}

/// `[limits]`.
#[derive(Debug)]
pub(super) struct Limits {
    pub(super) max_uri_bytes: Placed<u64>,
    pub(super) max_head_bytes: Placed<u64>,
    pub(super) max_body_bytes: Placed<u64>,
    pub(super) body_timeout: Placed<Duration>,
    pub(super) max_deletions: Placed<u64>,
}

/// `[domains]`.
#[derive(Debug)]
pub(super) struct Domains {
    pub(super) plaintext: bool,
    pub(super) accounts: Vec<(Placed<String>, Placed<String>)>,
    pub(super) span: Range<usize>,
}

/// `[credentials]`.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) mode: Option<Placed<&'static str>>,
    pub(super) token_file: Option<Placed<String>>,
}

/// `[upstream]`.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) connect_timeout: Placed<Duration>,
    pub(super) head_timeout: Placed<Duration>,
    pub(super) total_timeout: Placed<Duration>,
    pub(super) idle_timeout: Placed<Duration>,
    pub(super) max_connections: Placed<u64>,
    pub(super) roots_file: Option<Placed<String>>,
}

/// `[audit]`.
#[derive(Debug)]
pub(super) struct Audit {
    pub(super) directory: Option<Placed<String>>,
    pub(super) origin: Option<Placed<String>>,
    pub(super) key_file: Option<Placed<String>>,
    pub(super) sync_timeout: Placed<Duration>,
    pub(super) segment_bytes: Placed<u64>,
    pub(super) free_space_warn: Placed<u64>,
    pub(super) free_space_low: Placed<u64>,
    pub(super) seen_file: Option<Placed<String>>,
    pub(super) heartbeat: Placed<Duration>,
    pub(super) reconcile: Option<Placed<bool>>,
    pub(super) reconcile_token_file: Option<Placed<String>>,
}

/// `[contract]`.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) builtin: bool,
    pub(super) files: Vec<Placed<String>>,
    pub(super) span: Range<usize>,
}

/// `[log]`.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) level: Option<Placed<LevelFilter>>,
    pub(super) format: Option<Placed<Format>>,
}

impl File {
    /// Reads the complete file and adds every problem to the findings.
    pub(super) fn read(mut root: Table<'_>) -> Self {
        let file = Self {
            listen: Listen::read(root.table("listen")),
            admin: Admin::read(root.table("admin")),
            limits: Limits::read(root.table("limits")),
            issuers: issuer::read_all(&mut root),
            domains: Domains::read(root.table("domains")),
            credentials: Credentials::read(root.table("credentials")),
            upstream: Upstream::read(root.table("upstream")),
            audit: Audit::read(root.table("audit")),
            contract: Contract::read(root.table("contract")),
            log: Log::read(root.table("log")),
        };
        root.end();
        file
    }
}

impl Listen {
    fn read(mut table: Table<'_>) -> Self {
        table.require("address", "such as address = \"127.0.0.1:8080\"");
        let listen = Self {
            address: address(&mut table),
            max_connections: table.number("max_connections", 10_000, 1..=1_000_000),
            head_timeout: table.duration("head_timeout", seconds(30), millis(100)..=HOUR),
            // Zero is allowed: `drain` then closes the deletions in flight as `unknown` at once.
            drain_timeout: table.duration("drain_timeout", seconds(25), Duration::ZERO..=HOUR),
        };
        table.end();
        listen
    }
}

impl Admin {
    fn read(mut table: Table<'_>) -> Self {
        let default = Placed {
            value: SocketAddr::from((Ipv4Addr::LOCALHOST, 9080)),
            span: table.span(),
        };
        let admin = Self {
            address: address(&mut table).unwrap_or(default),
            token_file: path(&mut table, "token_file"),
            hosts: table.list("hosts").map_or_else(Vec::new, |list| list.value),
        };
        for host in &admin.hosts {
            if host.value.parse::<http::uri::Authority>().is_err() || host.value.contains('@') {
                let hint = "a name or address as sent in Host, such as \"gate.example:9080\"";
                table.wrong(
                    "hosts",
                    &host.span,
                    "contains an entry that is not host[:port]",
                    hint,
                );
            }
        }
        table.end();
        admin
    }
}

impl Limits {
    fn read(mut table: Table<'_>) -> Self {
        // Target and head together stay below the parser's limit of 128 KiB, so that the gateway
        // refuses a long request with its own code.
        let limits = Self {
            max_uri_bytes: table.size("max_uri_bytes", 16 * KIB, 256..=60 * KIB),
            max_head_bytes: table.size("max_head_bytes", 32 * KIB, KIB..=64 * KIB),
            max_body_bytes: table.size("max_body_bytes", 8 * MIB, KIB..=GIB),
            body_timeout: table.duration("body_timeout", seconds(30), millis(100)..=HOUR),
            max_deletions: table.number("max_deletions", 1_024, 1..=65_536),
        };
        table.end();
        limits
    }
}

impl Domains {
    fn read(mut table: Table<'_>) -> Self {
        let accounts = table.table("accounts");
        let domains = Self {
            plaintext: table.flag("plaintext", false),
            span: accounts.span(),
            accounts: accounts.entries(),
        };
        table.end();
        domains
    }
}

impl Credentials {
    fn read(mut table: Table<'_>) -> Self {
        let credentials = Self {
            mode: table.word("mode", &MODES),
            token_file: path(&mut table, "token_file"),
        };
        table.end();
        credentials
    }
}

impl Upstream {
    fn read(mut table: Table<'_>) -> Self {
        let range = millis(10)..=HOUR;
        let upstream = Self {
            connect_timeout: table.duration("connect_timeout", seconds(5), range.clone()),
            head_timeout: table.duration("head_timeout", seconds(30), range.clone()),
            total_timeout: table.duration("total_timeout", seconds(60), range.clone()),
            idle_timeout: table.duration("idle_timeout", seconds(60), range),
            max_connections: table.number("max_connections", 2_048, 1..=65_536),
            roots_file: path(&mut table, "roots_file"),
        };
        if upstream.head_timeout.value > upstream.total_timeout.value {
            let span = &upstream.head_timeout.span;
            let hint = "raise total_timeout: it counts from the start of the request";
            table.wrong("head_timeout", span, "is longer than total_timeout", hint);
        }
        table.end();
        upstream
    }
}

impl Audit {
    fn read(mut table: Table<'_>) -> Self {
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
        let audit = Self {
            directory: path(&mut table, "directory"),
            origin: table.parsed("origin", "visible ASCII without +, 1 to 255 bytes", origin),
            key_file: path(&mut table, "key_file"),
            sync_timeout: table.duration("sync_timeout", seconds(2), millis(10)..=seconds(60)),
            // A segment must hold at least one batch of up to 1 MiB.
            segment_bytes: table.size("segment_bytes", 8 * MIB, 2 * MIB..=GIB),
            // Zero is allowed: it disables the warning.
            free_space_warn: table.size("free_space_warn", GIB, 0..=1_024 * GIB),
            free_space_low: table.size("free_space_low", 256 * MIB, 0..=1_024 * GIB),
            seen_file: path(&mut table, "seen_file"),
            heartbeat: table.duration("heartbeat", seconds(3_600), seconds(1)..=seconds(86_400)),
            reconcile: table.word("reconcile", &[("never", false), ("on_start", true)]),
            reconcile_token_file: path(&mut table, "reconcile_token_file"),
        };
        if audit.free_space_low.value > audit.free_space_warn.value {
            let span = &audit.free_space_low.span;
            let hint = "free_space_warn comes first: raise it, or lower this";
            table.wrong("free_space_low", span, "is more than free_space_warn", hint);
        }
        if !audit.segment_bytes.value.is_multiple_of(4_096) {
            let span = &audit.segment_bytes.span;
            table.wrong(
                "segment_bytes",
                span,
                "is not whole blocks",
                "a multiple of \"4KiB\"",
            );
        }
        table.end();
        audit
    }
}

impl Contract {
    fn read(mut table: Table<'_>) -> Self {
        let contract = Self {
            builtin: table.flag("builtin", true),
            files: table.list("files").map_or_else(Vec::new, |list| list.value),
            span: table.span(),
        };
        if !contract.builtin && contract.files.is_empty() {
            let hint = "name a contract file in files, or leave builtin out";
            table.wrong("builtin", &contract.span, "leaves no contract at all", hint);
        }
        table.end();
        contract
    }
}

impl Log {
    fn read(mut table: Table<'_>) -> Self {
        let log = Self {
            level: table.word("level", &LEVELS),
            format: table.word("format", &FORMATS),
        };
        table.end();
        log
    }
}

fn address(table: &mut Table<'_>) -> Option<Placed<SocketAddr>> {
    let hint = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    table.parsed("address", hint, |text| {
        text.parse()
            .map_err(|_| "must be an IP address and a port".to_owned())
    })
}

/// The name of the log (C2SP signed-note): no space and no `+`. The gateway also requires short,
/// visible ASCII.
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
