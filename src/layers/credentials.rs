//! Removes, keeps or replaces the caller's token, as [`Settings`] says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use http::request::Parts;

use super::domain::Addressed;
use crate::check::CheckLayer;
use crate::refusal::{Checked, Code, Refusal};
use crate::request::{Body, RequestContext};

/// The credentials that the gateway sends upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// No credentials: the gateway removes the caller's token.
    Strip,
    /// The caller's own token, unchanged.
    Forward,
    /// A bearer token from a file. The gateway reads the file again when it changes.
    Bearer(PathBuf),
}

/// A request with the credentials for upstream.
#[derive(Debug)]
pub struct WithCredentials {
    head: Box<Parts>,
    body: Body,
    context: Arc<RequestContext>,
}

impl WithCredentials {
    /// Splits the request into head, body and context.
    #[must_use]
    pub fn into_parts(self) -> (Box<Parts>, Body, Arc<RequestContext>) {
        (self.head, self.body, self.context)
    }
}

/// Makes the layer that sets the credentials for upstream.
pub fn layer(
    credentials: Arc<Credentials>,
) -> CheckLayer<impl Fn(Addressed) -> Checked<WithCredentials> + Clone> {
    CheckLayer(move |addressed: Addressed| {
        let (mut head, body, context) = addressed.into_conforming().into_parts();
        match &credentials.settings {
            Settings::Strip => {
                head.headers.remove(AUTHORIZATION);
            }
            Settings::Forward => {}
            Settings::Bearer(path) => {
                let token = Arc::clone(&credentials).bearer(path)?;
                head.headers.insert(AUTHORIZATION, token);
            }
        }
        Ok(WithCredentials {
            head,
            body,
            context,
        })
    })
}

/// The shortest time between two checks of the token file for changes.
const RECHECK: Duration = Duration::from_secs(1);
/// The maximum length of a token file.
const MAX_TOKEN_BYTES: u64 = 16 * 1024;

/// The credentials in force. For [`Settings::Bearer`], they include the last token that was read.
#[derive(Debug)]
pub struct Credentials {
    settings: Settings,
    /// The value of `Authorization` from the last read of the token file, and the `Stamp` of the file at that
    /// read.
    bearer: ArcSwap<Option<(HeaderValue, Stamp)>>,
    begun: Instant,
    /// Milliseconds from `begun` to the last check of the token file.
    looked: AtomicU64,
}

/// The modification time and the length of a token file. The gateway reads the file again if either changes.
type Stamp = (Option<SystemTime>, u64);

impl Credentials {
    /// Reads the token file, if the settings name one.
    ///
    /// # Errors
    /// If the file cannot be read or holds no token. The error names the file, never the token.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let bearer = match &settings {
            Settings::Bearer(path) => Some(read_token(path)?),
            _ => None,
        };
        Ok(Self {
            settings,
            bearer: ArcSwap::from_pointee(bearer),
            begun: Instant::now(),
            looked: AtomicU64::new(0),
        })
    }

    /// The settings that the credentials were made from.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn bearer(self: Arc<Self>, path: &Path) -> Checked<HeaderValue> {
        let value = self.bearer.load().as_ref().as_ref().map(|b| b.0.clone());
        self.look_again(path);
        match value {
            Some(value) => Ok(value),
            None => Refusal::new(
                Code::CredentialsUnavailable,
                "The gateway's own token for upstream cannot be read ([credentials] token_file).",
            )
            .refuse(),
        }
    }

    /// Checks the token file for changes, at most once a second. A blocking thread does this, so no request
    /// waits.
    fn look_again(self: Arc<Self>, path: &Path) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.looked.load(Ordering::Relaxed);
        let due = now.saturating_sub(looked) >= RECHECK.as_millis() as u64;
        let mine = due
            && self
                .looked
                .compare_exchange(looked, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return;
        }
        let path = path.to_owned();
        tokio::task::spawn_blocking(move || {
            let known = self.bearer.load().as_ref().as_ref().map(|b| b.1);
            if known.is_some() && stamp(&path).ok() == known {
                return;
            }
            match read_token(&path) {
                Ok(read) => self.bearer.store(Arc::new(Some(read))),
                Err(why) => tracing::warn!("{why}; the token read before stays in use"),
            }
        });
    }
}

fn stamp(path: &Path) -> Result<Stamp, String> {
    let meta = std::fs::metadata(path)
        .map_err(|e| format!("cannot read the token file {}: {e}", path.display()))?;
    Ok((meta.modified().ok(), meta.len()))
}

fn read_token(path: &Path) -> Result<(HeaderValue, Stamp), String> {
    let stamp = stamp(path)?;
    if stamp.1 > MAX_TOKEN_BYTES {
        return Err(format!("the token file {} is too long", path.display()));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|e| format!("cannot read the token file {}: {e}", path.display()))?;
    let token = text.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(plain) {
        return Err(format!(
            "the token file {} does not hold one bearer token (RFC 6750 section 2.1)",
            path.display()
        ));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| format!("the token file {} cannot be used", path.display()))?;
    value.set_sensitive(true);
    Ok((value, stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lychgate-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn p8_a_token_file_that_cannot_be_used_is_named_and_not_quoted() {
        let path = file("bad-token", "se cret\n");
        let why = Credentials::new(Settings::Bearer(path.clone())).unwrap_err();
        assert!(why.contains("bad-token") && !why.contains("cret\n"));
        std::fs::remove_file(path).unwrap();
    }

    #[tokio::test]
    async fn a_changed_token_is_read_again() {
        let path = file("token", "first\n");
        let credentials = Arc::new(Credentials::new(Settings::Bearer(path.clone())).unwrap());
        assert_eq!(
            Arc::clone(&credentials).bearer(&path).unwrap(),
            "Bearer first"
        );
        std::fs::write(&path, "the-second\n").unwrap();
        for _ in 0..6_000 {
            // As if a second had passed.
            credentials.looked.store(0, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let value = Arc::clone(&credentials).bearer(&path).unwrap();
            if value == "Bearer the-second" && credentials.begun.elapsed() > RECHECK {
                std::fs::remove_file(path).unwrap();
                return;
            }
        }
        panic!("the new token was never read");
    }

    #[test]
    fn p8_the_token_does_not_show_in_debug_output() {
        let path = file("hidden-token", "hidden-value");
        let credentials = Credentials::new(Settings::Bearer(path.clone())).unwrap();
        assert!(!format!("{credentials:?}").contains("hidden-value"));
        std::fs::remove_file(path).unwrap();
    }
}
