//! Checks that a request beyond health and metrics names this listener and holds the admin token.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use zeroize::Zeroizing;

use super::Settings;

/// After this time a request reads the token file again.
const RECHECK_AFTER: Duration = Duration::from_secs(1);
/// No token is longer.
const MAX_TOKEN_BYTES: u64 = 8 * 1024;

/// Why a request goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// `Host` does not name this listener: DNS may have redirected a browser.
    Host,
    /// The token is missing or wrong; the challenge of RFC 6750 section 3.
    Token(&'static str),
}

/// Judges `Host` and token.
pub(super) struct Guard {
    address: SocketAddr,
    hosts: Vec<String>,
    token: Option<TokenFile>,
}

struct TokenFile {
    path: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    token: Zeroizing<String>,
    at: Instant,
}

impl Guard {
    /// Reads the token file, if one is configured.
    pub(super) fn new(settings: &Settings, address: SocketAddr) -> Result<Self, String> {
        let token = match settings.token_file.clone() {
            None => None,
            Some(path) => {
                let token = read(&path)?;
                let at = Instant::now();
                let read = Mutex::new(Read { token, at });
                Some(TokenFile { path, read })
            }
        };
        Ok(Self {
            address,
            hosts: settings.hosts.clone(),
            token,
        })
    }

    /// Checks `Host` and the token.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Result<(), Stop> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if hosts.next().is_some() || !host.is_some_and(|host| self.is_ours(host)) {
            return Err(Stop::Host);
        }
        let Some(file) = &self.token else {
            return Ok(());
        };
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(first), None) = (sent.next(), sent.next()) else {
            return Err(Stop::Token("Bearer"));
        };
        let bytes = first.as_bytes();
        let bearer = match bytes.split_at_checked(7) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer ") => rest,
            _ => return Err(Stop::Token("Bearer")),
        };
        if file.is(bearer) {
            Ok(())
        } else {
            Err(Stop::Token("Bearer error=\"invalid_token\""))
        }
    }

    /// Whether `Host` is an address of the listener, a loopback name or a configured name. If the
    /// listener uses all addresses, any IP address is valid, because DNS cannot redirect it.
    fn is_ours(&self, host: &str) -> bool {
        if self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            return true;
        }
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok()),
            _ => (host, Some(80)),
        };
        if port != Some(self.address.port()) {
            return false;
        }
        let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
        match bare.unwrap_or(name).parse::<IpAddr>() {
            Ok(ip) if self.address.ip().is_unspecified() => ip.is_ipv4() || bare.is_some(),
            Ok(ip) => ip == self.address.ip() || ip.is_loopback(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl TokenFile {
    /// Compares in constant time. If the file cannot be read again, the known token stays valid.
    fn is(&self, sent: &[u8]) -> bool {
        let mut read_last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read_last.at.elapsed() >= RECHECK_AFTER {
            read_last.at = Instant::now();
            match read(&self.path) {
                Ok(token) => read_last.token = token,
                Err(error) => tracing::warn!(%error, "kept the admin token that was known"),
            }
        }
        verify_slices_are_equal(read_last.token.as_bytes(), sent).is_ok()
    }
}

/// Never shows the token.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("address", &self.address)
            .field("token_file", &self.token.as_ref().map(|file| &file.path))
            .finish()
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    let shown = path.display();
    let trouble = |error: std::io::Error| {
        format!(
            "cannot read the admin token from {shown}: {error}; make it readable for the gateway"
        )
    };
    let length = std::fs::metadata(path).map_err(trouble)?.len();
    if length > MAX_TOKEN_BYTES {
        return Err(format!(
            "{shown} is longer than {MAX_TOKEN_BYTES} bytes: it should hold the admin token alone"
        ));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(trouble)?);
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!(
            "{shown} holds no admin token: one line of visible ASCII characters is expected"
        ));
    }
    Ok(Zeroizing::new(token.to_owned()))
}
