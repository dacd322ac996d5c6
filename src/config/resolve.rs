//! Makes the program's settings from the file: checks the files that it names and compares sections
//! that depend on each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::level_filters::LevelFilter;

use super::Config;
use super::contracts::{self, InForce};
use super::file::{Admin, Audit, Credentials, Domains, File, Limits, Listen, Log, Upstream};
use super::issuer::Issuer;
use super::named::Named;
use super::url;
use crate::layers::credentials;
use crate::telemetry::Format;
use crate::token::{IssuerSettings, KeySource};
use crate::{
    admin, audit, contract, domain, inbound, outbound, reconcile, request, strict_toml, telemetry,
};

/// The config; `None` if a required part is missing. It is valid only if the findings are empty.
pub(super) fn resolve(file: File, text: &str, named: &Named<'_>) -> Option<Config> {
    if let Some(listen) = &file.listen.address
        && listen.value == file.admin.address.value
        && listen.value.port() != 0
    {
        let message = "`admin.address` is the same as `listen.address`";
        let hint = "give the admin listener a port of its own";
        named.findings.add(&file.admin.address.span, message, hint);
    }
    // Resolve every section before the first return, so that the findings include all problems.
    let listen = listen(&file.listen);
    let admin = admin(file.admin, named);
    let issuers: Vec<_> = file
        .issuers
        .into_iter()
        .map(|one| issuer(one, named))
        .collect();
    let domains = domains(&file.domains, named);
    let credentials = credentials(&file.credentials, named);
    let outbound = outbound(&file.upstream, named);
    let audit = audit(&file.audit, named);
    let reconcile = reconcile(&file.audit, credentials.as_ref(), named);
    let in_force = contracts::load(&file.contract, named);
    let limits = limits(&file.limits);
    let InForce { contracts, hashes } = in_force?;
    Some(Config {
        path: std::path::PathBuf::new(),
        listen: listen?,
        admin,
        limits,
        issuers: issuers.into_iter().collect::<Option<_>>()?,
        domains,
        credentials: credentials?,
        outbound,
        audit: audit?,
        reconcile,
        telemetry: log(file.log),
        hash: super::digest::of_config(text, &contracts),
        contract_hashes: hashes,
        contracts: Arc::new(contracts),
    })
}

fn listen(listen: &Listen) -> Option<inbound::Settings> {
    Some(inbound::Settings {
        address: listen.address.as_ref()?.value,
        max_connections: count(listen.max_connections.value),
        head_timeout: listen.head_timeout.value,
        drain_timeout: listen.drain_timeout.value,
    })
}

fn admin(admin: Admin, named: &Named<'_>) -> admin::Settings {
    match &admin.token_file {
        Some(file) => named.token("admin.token_file", file),
        None if !admin.address.value.ip().is_loopback() => {
            let message = "`admin.token_file` is missing, and `admin.address` is beyond loopback";
            let hint = "name a file with a token, or listen on 127.0.0.1";
            named.findings.add(&admin.address.span, message, hint);
        }
        None => {}
    }
    admin::Settings {
        address: admin.address.value,
        token_file: admin.token_file.map(|file| named.path(&file.value)),
        hosts: admin.hosts.into_iter().map(|host| host.value).collect(),
    }
}

fn limits(limits: &Limits) -> request::Limits {
    request::Limits {
        max_uri_bytes: count(limits.max_uri_bytes.value),
        max_head_bytes: count(limits.max_head_bytes.value),
        max_body_bytes: limits.max_body_bytes.value,
        body_timeout: limits.body_timeout.value,
        max_deletions: count(limits.max_deletions.value),
    }
}

fn issuer(issuer: Issuer, named: &Named<'_>) -> Option<IssuerSettings> {
    if let Some(file) = &issuer.jwks_file {
        named.key_set("issuer.jwks_file", file);
    }
    let keys = match (issuer.jwks_file, issuer.jwks_url) {
        (Some(file), None) => KeySource::File(named.path(&file.value)),
        (None, Some(url)) => KeySource::Url(url.value),
        _ => return None,
    };
    Some(IssuerSettings {
        issuer: issuer.issuer?.value,
        audience: issuer.audience,
        algorithms: issuer.algorithms,
        keys,
        accounts_claim: issuer.accounts_claim,
        scopes_claim: issuer.scopes_claim,
        client_claim: issuer.client_claim,
        leeway: issuer.leeway,
    })
}

fn domains(domains: &Domains, named: &Named<'_>) -> domain::Settings {
    if domains.accounts.is_empty() {
        let message = "`domains.accounts` is missing or empty: no account could be served";
        let hint = "add a section [domains.accounts] with lines such as \"12345678\" = \"https://va.ac.liveperson.net\"";
        named.findings.add(&domains.span, message, hint);
    }
    let mut accounts = BTreeMap::new();
    for (account, address) in &domains.accounts {
        let shown = strict_toml::quoted(&account.value);
        if !contract::path::is_account(&account.value) {
            let message = format!("`domains.accounts.{shown}` is not an account id");
            let hint = "1 to 20 letters, digits or underscores";
            named.findings.add(&account.span, message, hint);
        }
        match url::origin(&address.value, domains.plaintext) {
            Ok(origin) => {
                accounts.insert(account.value.clone(), origin);
            }
            Err(wrong) => {
                let message = format!("`domains.accounts.{shown}` {}", wrong.what);
                named.findings.add(&address.span, message, wrong.hint);
            }
        }
    }
    domain::Settings { accounts }
}

fn credentials(section: &Credentials, named: &Named<'_>) -> Option<credentials::Settings> {
    let mode = section.mode.as_ref();
    match (mode.map_or("strip", |mode| mode.value), &section.token_file) {
        ("bearer", Some(file)) => {
            named.token("credentials.token_file", file);
            Some(credentials::Settings::Bearer(named.path(&file.value)))
        }
        ("bearer", None) => {
            let message = "`credentials.token_file` is missing, and mode \"bearer\" sends the token in that file";
            let hint = "name a file with the token for upstream";
            let span = mode.map_or(0..0, |mode| mode.span.clone());
            named.findings.add(&span, message, hint);
            None
        }
        (other, Some(file)) => {
            let message = format!("`credentials.token_file` has no effect with mode \"{other}\"");
            let hint = "write mode = \"bearer\", or remove this key";
            named.findings.add(&file.span, message, hint);
            None
        }
        ("forward", None) => Some(credentials::Settings::Forward),
        (_, None) => Some(credentials::Settings::Strip),
    }
}

fn outbound(upstream: &Upstream, named: &Named<'_>) -> outbound::Settings {
    if let Some(file) = &upstream.roots_file {
        let hint = "a PEM file with the certificates to trust";
        let text = named.text("upstream.roots_file", file, hint);
        if text.is_some_and(|text| !text.contains("-----BEGIN CERTIFICATE-----")) {
            let message = "`upstream.roots_file` names a file that holds no certificate";
            named.findings.add(&file.span, message, hint);
        }
    }
    outbound::Settings {
        connect_timeout: upstream.connect_timeout.value,
        head_timeout: upstream.head_timeout.value,
        total_timeout: upstream.total_timeout.value,
        idle_timeout: upstream.idle_timeout.value,
        max_connections: count(upstream.max_connections.value),
        roots_file: upstream
            .roots_file
            .as_ref()
            .map(|file| named.path(&file.value)),
    }
}

fn audit(audit: &Audit, named: &Named<'_>) -> Option<audit::Settings> {
    let origin = audit.origin.as_ref();
    let key_file = audit.key_file.as_ref()?;
    // Without a usable origin, the name of the key cannot be checked.
    named.signing_key(key_file, &origin?.value);
    let key_path = named.path(&key_file.value);
    let directory = named.path(&audit.directory.as_ref()?.value);
    let seen_file = match &audit.seen_file {
        Some(file) => named.path(&file.value),
        None => audit::Settings::seen_beside(&key_path),
    };
    if let Some(file) = audit
        .seen_file
        .as_ref()
        .filter(|_| seen_file.starts_with(&directory))
    {
        let message = "`audit.seen_file` lies in the trail's folder, so a restore of the folder would reset it";
        let hint = "a file beside the key, on a disk that lasts";
        named.findings.add(&file.span, message, hint);
    }
    Some(audit::Settings {
        directory,
        origin: origin?.value.clone(),
        key_file: key_path,
        sync_timeout: audit.sync_timeout.value,
        segment_bytes: audit.segment_bytes.value,
        space: audit::status::space::Levels {
            warn: audit.free_space_warn.value,
            low: audit.free_space_low.value,
        },
        seen_file,
        heartbeat: audit.heartbeat.value,
    })
}

fn reconcile(
    audit: &Audit,
    credentials: Option<&credentials::Settings>,
    named: &Named<'_>,
) -> reconcile::Settings {
    if let Some(file) = &audit.reconcile_token_file {
        named.token("audit.reconcile_token_file", file);
    } else if let (Some(when), Some(mode)) = (&audit.reconcile, credentials)
        && when.value
        && !matches!(mode, credentials::Settings::Bearer(_))
    {
        let message = "`audit.reconcile_token_file` is missing, and [credentials] has no token to read users back with";
        let hint = "name a file with a token for upstream, or write reconcile = \"never\"";
        named.findings.add(&when.span, message, hint);
    }
    reconcile::Settings {
        on_start: audit.reconcile.as_ref().is_some_and(|when| when.value),
        token_file: audit
            .reconcile_token_file
            .as_ref()
            .map(|file| named.path(&file.value)),
    }
}

fn log(log: Log) -> telemetry::Settings {
    telemetry::Settings {
        level: log.level.map_or(LevelFilter::INFO, |level| level.value),
        format: log.format.map_or(Format::Auto, |format| format.value),
    }
}

/// Every count has an upper bound far below `usize::MAX`.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
