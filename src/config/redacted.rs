//! Formats the config for the admin listener and for logs: every setting, no secret.

use std::fmt::{self, Display};
use std::path::Path;

use super::Config;
use super::units::{show_duration, show_size};
use crate::layers::credentials;
use crate::token::KeySource;

impl Config {
    /// The settings in force, one `section.key = value` per line. Secrets are in files, and the
    /// text shows only the paths of these files. The text leaves out the query of a URL.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut lines = Lines(String::new());
        lines.add("hash", &self.hash);
        for (name, hash) in &self.contract_hashes {
            lines.add(&format!("contract.{name}"), hash);
        }
        self.add_listeners(&mut lines);
        self.add_issuers(&mut lines);
        for (account, origin) in &self.domains.accounts {
            lines.add(&format!("domains.accounts.{account}"), origin);
        }
        let mode = match &self.credentials {
            credentials::Settings::Strip => "strip".to_owned(),
            credentials::Settings::Forward => "forward".to_owned(),
            credentials::Settings::Bearer(file) => format!("bearer, from {}", file.display()),
        };
        lines.add("credentials.mode", mode);
        self.add_upstream(&mut lines);
        self.add_audit(&mut lines);
        lines.add("log.level", self.telemetry.level);
        lines.add("log.format", format_args!("{:?}", self.telemetry.format));
        lines.0
    }

    fn add_listeners(&self, lines: &mut Lines) {
        let (listen, admin, limits) = (&self.listen, &self.admin, &self.limits);
        let max_uri_bytes = show_size(limits.max_uri_bytes as u64);
        let max_head_bytes = show_size(limits.max_head_bytes as u64);
        lines.add("listen.address", listen.address);
        lines.add("listen.max_connections", listen.max_connections);
        lines.add("listen.head_timeout", show_duration(listen.head_timeout));
        lines.add("listen.idle_timeout", show_duration(listen.idle_timeout));
        lines.add(
            "listen.half_close_grace",
            show_duration(listen.half_close_grace),
        );
        lines.add("listen.drain_timeout", show_duration(listen.drain_timeout));
        lines.add("admin.address", admin.address);
        lines.add("admin.hosts", format_args!("{:?}", admin.hosts));
        lines.add_file("admin.token_file", admin.token_file.as_deref());
        lines.add("limits.max_uri_bytes", max_uri_bytes);
        lines.add("limits.max_head_bytes", max_head_bytes);
        lines.add("limits.max_body_bytes", show_size(limits.max_body_bytes));
        lines.add("limits.body_timeout", show_duration(limits.body_timeout));
        lines.add("limits.max_deletions", limits.max_deletions);
    }

    fn add_issuers(&self, lines: &mut Lines) {
        for issuer in &self.issuers {
            let mut add = |key: &str, value: &dyn Display| {
                lines.add(&format!("issuer.{}.{key}", issuer.issuer), value);
            };
            add("audience", &format_args!("{:?}", issuer.audience));
            add("algorithms", &format_args!("{:?}", issuer.algorithms));
            match &issuer.keys {
                KeySource::File(file) => add("jwks_file", &file.display()),
                KeySource::Url(url) => {
                    add("jwks_url", &url.split('?').next().unwrap_or_default());
                }
            }
            add("accounts_claim", &issuer.accounts_claim);
            add("scopes_claim", &issuer.scopes_claim);
            add("client_claim", &issuer.client_claim);
            add("leeway", &show_duration(issuer.leeway));
        }
    }

    fn add_upstream(&self, lines: &mut Lines) {
        let upstream = &self.outbound;
        for (key, timeout) in [
            ("upstream.connect_timeout", upstream.connect_timeout),
            ("upstream.head_timeout", upstream.head_timeout),
            ("upstream.total_timeout", upstream.total_timeout),
            ("upstream.idle_timeout", upstream.idle_timeout),
        ] {
            lines.add(key, show_duration(timeout));
        }
        lines.add("upstream.max_connections", upstream.max_connections);
        lines.add_file("upstream.roots_file", upstream.roots_file.as_deref());
    }

    fn add_audit(&self, lines: &mut Lines) {
        let (audit, reconcile) = (&self.audit, &self.reconcile);
        let when = if reconcile.on_start {
            "on_start"
        } else {
            "never"
        };
        lines.add_file("audit.directory", Some(&audit.directory));
        lines.add("audit.origin", &audit.origin);
        lines.add_file("audit.key_file", Some(&audit.key_file));
        lines.add("audit.sync_timeout", show_duration(audit.sync_timeout));
        lines.add("audit.segment_bytes", show_size(audit.segment_bytes));
        lines.add_file("audit.seen_file", Some(&audit.seen_file));
        lines.add("audit.heartbeat", show_duration(audit.heartbeat));
        lines.add("audit.reconcile", when);
        lines.add_file(
            "audit.reconcile_token_file",
            reconcile.token_file.as_deref(),
        );
        lines.add("audit.free_space_warn", show_size(audit.space.warn));
        lines.add("audit.free_space_low", show_size(audit.space.low));
    }
}

struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn add_file(&mut self, key: &str, file: Option<&Path>) {
        if let Some(file) = file {
            self.add(key, file.display());
        }
    }
}

/// The same text as [`Config::redacted`], so that a careless `{:?}` shows no secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}
