//! The second listener: health, metrics, status, the published trail. It answers from a [`View`] and
//! from the trail's folder, and changes nothing.
//!
//! 1. [`view`] says what it is told of the gateway;
//! 2. [`guard`] says who may ask beyond health and metrics;
//! 3. [`pages`] makes the answers;
//! 4. [`trail`] gives the trail's files.

mod guard;
mod pages;
mod trail;
pub mod view;

pub use view::{Part, Reload, Report, View};

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::metrics::Metrics;
use crate::request::Body;
use guard::{Guard, Stop};
use trail::Published;

/// What the admin listener is told by the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen.
    pub address: SocketAddr,
    /// File of the token required for all but health and metrics.
    pub token_file: Option<PathBuf>,
    /// Values of `Host` that are answered beyond the listener's address and loopback names.
    pub hosts: Vec<String>,
}

/// Answers requests of the admin listener; cheap to clone.
#[derive(Clone, Debug)]
pub struct Admin {
    view: Arc<dyn View>,
    metrics: Metrics,
    guard: Arc<Guard>,
    published: Published,
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Admin {
    /// Reads the token file, where there is one; `address` is where the listener really is, and
    /// `directory` the audit folder.
    ///
    /// # Errors
    /// Where the token file cannot be read or holds no token.
    pub fn new(
        settings: &Settings,
        address: SocketAddr,
        view: Arc<dyn View>,
        metrics: Metrics,
        directory: PathBuf,
    ) -> Result<Self, String> {
        let guard = Guard::new(settings, address)?;
        Ok(Self {
            view,
            metrics,
            guard: Arc::new(guard),
            published: Published::new(directory),
        })
    }

    /// Answers one request; its body is not read.
    pub async fn serve(&self, request: Request<Body>) -> Response<Body> {
        match self.file_asked(&request) {
            Some(path) => self.published.file(path).await,
            None => self.handle(&request),
        }
    }

    /// The path of a file of the trail, where it is one that is asked for, by somebody who may.
    fn file_asked(&self, request: &Request<Body>) -> Option<String> {
        let path = request.uri().path().strip_prefix(trail::PREFIX)?;
        let may = is_read(request) && self.guard.judge(request).is_ok();
        may.then(|| path.to_owned())
    }

    fn handle(&self, request: &Request<Body>) -> Response<Body> {
        if !is_read(request) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let query = request.uri().query().unwrap_or_default();
        match request.uri().path() {
            "/livez" => text(StatusCode::OK, "ok"),
            "/readyz" => self.readyz(query),
            "/metrics" => answer(StatusCode::OK, OPEN_METRICS, self.metrics.encode()),
            path => match self.guard.judge(request) {
                Err(stop) => stopped(&stop),
                Ok(()) if path == "/status" => {
                    let status = pages::status(&self.view.report());
                    answer(StatusCode::OK, JSON, status)
                }
                Ok(()) => text(StatusCode::NOT_FOUND, "no such page"),
            },
        }
    }

    fn readyz(&self, query: &str) -> Response<Body> {
        let asked = |name: &str| query.split('&').any(|part| part == name);
        let report = self.view.report();
        let trouble = if asked("for=deletions") {
            report.deletions.clone().err()
        } else {
            report.reads.clone().err()
        };
        let status = if trouble.is_none() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        if asked("verbose") {
            return text(status, &pages::verbose(&report));
        }
        text(status, trouble.as_deref().unwrap_or("ok"))
    }
}

fn is_read(request: &Request<Body>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn stopped(stop: &Stop) -> Response<Body> {
    match stop {
        Stop::Host => text(
            StatusCode::MISDIRECTED_REQUEST,
            "Host is not an address of this listener nor a loopback name",
        ),
        Stop::Token(challenge) => {
            let mut response = text(StatusCode::UNAUTHORIZED, "the admin token is required");
            let challenge = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            response
        }
    }
}

fn text(status: StatusCode, line: &str) -> Response<Body> {
    answer(status, TEXT, format!("{}\n", line.trim_end()))
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    let fixed: [(HeaderName, &'static str); 3] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    for (name, value) in fixed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
