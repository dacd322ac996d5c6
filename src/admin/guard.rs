//! Checks that a request names this listener in `Host` and carries the admin token. Requests for health
//! and metrics skip this check.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use zeroize::Zeroizing;

use super::{Settings, text};
use crate::request::Body;

/// If the last read of the token file is at least this long ago, the next request reads the file
/// again.
const RECHECK_AFTER: Duration = Duration::from_secs(1);
/// The maximum size of the token file in bytes.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// Checks the `Host` and the token of a request.
#[derive(Debug)]
pub(super) struct Guard {
    address: SocketAddr,
    hosts: Vec<String>,
    token: Option<Mutex<TokenFile>>,
}

struct TokenFile {
    path: PathBuf,
    token: Zeroizing<String>,
    read_at: Instant,
}

impl Guard {
    /// Reads the token file, if one is configured.
    pub(super) fn new(settings: &Settings, address: SocketAddr) -> Result<Self, String> {
        let file = settings.token_file.as_deref().map(TokenFile::open);
        Ok(Self {
            address,
            hosts: settings.hosts.clone(),
            token: file.transpose()?.map(Mutex::new),
        })
    }

    /// The refusal of a request with a wrong `Host` or token; `None` if both are right.
    pub(super) fn refusal(&self, headers: &HeaderMap) -> Option<Response<Body>> {
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if hosts.next().is_some() || !host.is_some_and(|host| self.is_ours(host)) {
            // This may be DNS rebinding: a foreign name that resolves to this listener's address.
            let what = "Host is not an address of this listener nor a loopback name";
            return Some(text(StatusCode::MISDIRECTED_REQUEST, what));
        }
        // Without a token file, every request with the right `Host` passes.
        let file = self.token.as_ref()?;
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        let (Some(first), None) = (sent.next(), sent.next()) else {
            return Some(challenge("Bearer"));
        };
        match first.as_bytes().split_at_checked(7) {
            Some((scheme, bearer)) if scheme.eq_ignore_ascii_case(b"bearer ") => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                (!file.is(bearer)).then(|| challenge("Bearer error=\"invalid_token\""))
            }
            _ => Some(challenge("Bearer")),
        }
    }

    /// Whether `Host` is an address of the listener, a loopback name or a configured name. If the
    /// listener is bound to all addresses, any IP address is valid, because DNS rebinding needs a name.
    fn is_ours(&self, host: &str) -> bool {
        if self.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)) {
            return true;
        }
        let (name, port) = match host.rsplit_once(':') {
            // An empty port is the default one (RFC 3986 §6.2.3).
            Some((name, "")) => (name, Some(80)),
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

/// A 401 response with this challenge in `WWW-Authenticate` (RFC 6750 section 3).
fn challenge(challenge: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::UNAUTHORIZED, "the admin token is required");
    let challenge = HeaderValue::from_static(challenge);
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

impl TokenFile {
    fn open(path: &Path) -> Result<Self, String> {
        Ok(Self {
            path: path.to_owned(),
            token: read(path)?,
            read_at: Instant::now(),
        })
    }

    /// Whether `sent` is the token. Compares in constant time. If a later read of the file fails, the last
    /// known token stays valid.
    fn is(&mut self, sent: &[u8]) -> bool {
        if self.read_at.elapsed() >= RECHECK_AFTER {
            self.read_at = Instant::now();
            match read(&self.path) {
                Ok(token) => self.token = token,
                Err(error) => tracing::warn!(%error, "kept the admin token that was known"),
            }
        }
        verify_slices_are_equal(self.token.as_bytes(), sent).is_ok()
    }
}

/// Shows the path, and never the token.
impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.path, f)
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
