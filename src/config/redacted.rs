//! The config for the admin listener and for logs: every setting, no secret.

use std::fmt::{self, Write};

use super::Config;
use super::units::{show_duration, show_size};
use crate::layers::credentials;
use crate::token::{IssuerSettings, KeySource};

impl Config {
    /// The settings in force, one `section.key = value` per line. Secrets are in files, so the text
    /// has only their paths. It leaves out the query of a URL.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "hash = {}", self.hash)?;
        for (name, hash) in &self.contract_hashes {
            writeln!(out, "contract.{name} = {hash}")?;
        }
        self.write_listeners(out)?;
        for issuer in &self.issuers {
            write_issuer(out, issuer)?;
        }
        for (account, origin) in &self.domains.accounts {
            writeln!(out, "domains.accounts.{account} = {origin}")?;
        }
        match &self.credentials {
            credentials::Settings::Strip => writeln!(out, "credentials.mode = strip")?,
            credentials::Settings::Forward => writeln!(out, "credentials.mode = forward")?,
            credentials::Settings::Bearer(file) => {
                writeln!(out, "credentials.mode = bearer, from {}", file.display())?;
            }
        }
        self.write_upstream(out)?;
        let audit = &self.audit;
        writeln!(out, "audit.directory = {}", audit.directory.display())?;
        writeln!(out, "audit.origin = {}", audit.origin)?;
        writeln!(out, "audit.key_file = {}", audit.key_file.display())?;
        writeln!(
            out,
            "audit.sync_timeout = {}",
            show_duration(audit.sync_timeout)
        )?;
        writeln!(
            out,
            "audit.segment_bytes = {}",
            show_size(audit.segment_bytes)
        )?;
        writeln!(out, "audit.seen_file = {}", audit.seen_file.display())?;
        writeln!(out, "audit.heartbeat = {}", show_duration(audit.heartbeat))?;
        let when = if self.reconcile.on_start {
            "on_start"
        } else {
            "never"
        };
        writeln!(out, "audit.reconcile = {when}")?;
        if let Some(file) = &self.reconcile.token_file {
            writeln!(out, "audit.reconcile_token_file = {}", file.display())?;
        }
        let (warn, low) = (show_size(audit.space.warn), show_size(audit.space.low));
        writeln!(out, "audit.free_space_warn = {warn}")?;
        writeln!(out, "audit.free_space_low = {low}")?;
        writeln!(out, "log.level = {}", self.telemetry.level)?;
        writeln!(out, "log.format = {:?}", self.telemetry.format)
    }

    fn write_listeners(&self, out: &mut String) -> fmt::Result {
        let (listen, limits) = (&self.listen, &self.limits);
        writeln!(out, "listen.address = {}", listen.address)?;
        writeln!(out, "listen.max_connections = {}", listen.max_connections)?;
        writeln!(
            out,
            "listen.head_timeout = {}",
            show_duration(listen.head_timeout)
        )?;
        writeln!(
            out,
            "listen.drain_timeout = {}",
            show_duration(listen.drain_timeout)
        )?;
        writeln!(out, "admin.address = {}", self.admin.address)?;
        writeln!(out, "admin.hosts = {:?}", self.admin.hosts)?;
        if let Some(file) = &self.admin.token_file {
            writeln!(out, "admin.token_file = {}", file.display())?;
        }
        writeln!(
            out,
            "limits.max_uri_bytes = {}",
            show_size(limits.max_uri_bytes as u64)
        )?;
        writeln!(
            out,
            "limits.max_head_bytes = {}",
            show_size(limits.max_head_bytes as u64)
        )?;
        writeln!(
            out,
            "limits.max_body_bytes = {}",
            show_size(limits.max_body_bytes)
        )?;
        writeln!(
            out,
            "limits.body_timeout = {}",
            show_duration(limits.body_timeout)
        )?;
        writeln!(out, "limits.max_deletions = {}", limits.max_deletions)
    }

    fn write_upstream(&self, out: &mut String) -> fmt::Result {
        let upstream = &self.outbound;
        writeln!(
            out,
            "upstream.connect_timeout = {}",
            show_duration(upstream.connect_timeout)
        )?;
        writeln!(
            out,
            "upstream.head_timeout = {}",
            show_duration(upstream.head_timeout)
        )?;
        writeln!(
            out,
            "upstream.total_timeout = {}",
            show_duration(upstream.total_timeout)
        )?;
        writeln!(
            out,
            "upstream.idle_timeout = {}",
            show_duration(upstream.idle_timeout)
        )?;
        writeln!(
            out,
            "upstream.max_connections = {}",
            upstream.max_connections
        )?;
        match &upstream.roots_file {
            Some(file) => writeln!(out, "upstream.roots_file = {}", file.display()),
            None => Ok(()),
        }
    }
}

fn write_issuer(out: &mut String, issuer: &IssuerSettings) -> fmt::Result {
    let name = &issuer.issuer;
    writeln!(out, "issuer.{name}.audience = {:?}", issuer.audience)?;
    writeln!(out, "issuer.{name}.algorithms = {:?}", issuer.algorithms)?;
    match &issuer.keys {
        KeySource::File(file) => writeln!(out, "issuer.{name}.jwks_file = {}", file.display())?,
        KeySource::Url(url) => {
            let shown = url.split('?').next().unwrap_or_default();
            writeln!(out, "issuer.{name}.jwks_url = {shown}")?;
        }
    }
    writeln!(
        out,
        "issuer.{name}.accounts_claim = {}",
        issuer.accounts_claim
    )?;
    writeln!(out, "issuer.{name}.scopes_claim = {}", issuer.scopes_claim)?;
    writeln!(out, "issuer.{name}.client_claim = {}", issuer.client_claim)?;
    writeln!(
        out,
        "issuer.{name}.leeway = {}",
        show_duration(issuer.leeway)
    )
}

/// The same text as [`Config::redacted`], so that a careless `{:?}` shows no secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}
