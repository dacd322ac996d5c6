//! The admin listener: health, metrics, status, the published trail. The listener answers from a [`View`] and
//! from the trail's folder, and changes nothing.
//!
//! 1. [`view`] reports the gateway's state;
//! 2. [`guard`] protects all pages except health and metrics;
//! 3. [`pages`] makes the answers;
//! 4. [`trail`] gives the trail's files.

mod guard;
mod pages;
mod trail;
pub(crate) mod view;

pub(crate) use view::{Part, Reload, Report, View};

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tower::{ServiceBuilder, ServiceExt};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::metrics::Metrics;
use crate::request::{Body, HeadFault};
use guard::Guard;
use trail::Published;

/// The part of the config for the admin listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub address: SocketAddr,
    /// The file with the token. All pages except health and metrics require the token.
    pub token_file: Option<PathBuf>,
    /// The values of `Host` that the listener accepts besides its address and the loopback names.
    pub hosts: Vec<String>,
}

/// Answers requests of the admin listener; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    view: Arc<dyn View>,
    metrics: Metrics,
    guard: Arc<Guard>,
    published: Published,
}

/// Checks that the token file, if one is configured, can be read as [`Admin::new`] reads it.
pub(crate) fn check_token(settings: &Settings) -> Result<(), String> {
    Guard::new(settings, settings.address).map(drop)
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const UNKNOWN_QUERY: &str =
    "/readyz knows only the queries `verbose` and `for=deletions`; correct the probe";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Admin {
    /// Reads the token file, if one is configured. `address` is the listener's actual address, and
    /// `directory` the audit folder.
    pub(crate) fn new(
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

    /// Answers one request without reading its body.
    ///
    /// Two layers of `tower-http` are left out on purpose. `limit` has no use, because the listener
    /// reads no body. `timeout` would let a further file be read while a thread still reads the
    /// file of the request that timed out.
    pub(crate) async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let nosniff = HeaderValue::from_static("nosniff");
        let no_store = HeaderValue::from_static("no-store");
        let service = ServiceBuilder::new()
            .layer(SetResponseHeaderLayer::overriding(
                X_CONTENT_TYPE_OPTIONS,
                nosniff,
            ))
            .layer(SetResponseHeaderLayer::if_not_present(
                CACHE_CONTROL,
                no_store,
            ))
            .layer(
                CompressionLayer::new()
                    .quality(CompressionLevel::Fastest)
                    .compress_when(trail::is_compressible),
            )
            .service_fn(|request: Request<Body>| {
                let (head, _) = request.into_parts();
                async move { Ok::<_, Infallible>(self.answer(&head).await) }
            });
        let Ok(response) = service.oneshot(request).await;
        response.map(Body::stream)
    }

    async fn answer(&self, head: &Parts) -> Response<Body> {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            let headers = response.headers_mut();
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match head.uri.path() {
            "/livez" => text(StatusCode::OK, "ok"),
            "/readyz" => self.readyz(head.uri.query().unwrap_or_default()),
            "/metrics" => whole(StatusCode::OK, OPEN_METRICS, self.metrics.encode()),
            path => match (
                self.guard.refusal(&head.headers),
                path.strip_prefix(trail::PREFIX),
            ) {
                (Some(refusal), _) => refusal,
                (None, Some(file)) => self.published.file(file.to_owned()).await,
                (None, None) if path == "/status" => {
                    whole(StatusCode::OK, JSON, pages::status(&self.view.report()))
                }
                (None, None) => text(StatusCode::NOT_FOUND, "no such page"),
            },
        }
    }

    fn readyz(&self, query: &str) -> Response<Body> {
        let (mut is_verbose, mut is_for_deletions) = (false, false);
        for part in query.split('&') {
            match part {
                "" => {}
                "verbose" => is_verbose = true,
                "for=deletions" => is_for_deletions = true,
                // If it were ignored, a misspelt probe would always pass.
                _ => return text(StatusCode::BAD_REQUEST, UNKNOWN_QUERY),
            }
        }
        let report = self.view.report();
        let ready = match is_for_deletions {
            true => &report.deletions,
            false => &report.reads,
        };
        let status = match ready {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        match ready {
            _ if is_verbose => text(status, &pages::verbose(&report)),
            Ok(()) => text(status, "ok"),
            Err(trouble) => text(status, trouble),
        }
    }
}

/// The answer to a head that is no request.
pub(crate) fn no_request(fault: &HeadFault) -> Response<Body> {
    let status = match fault {
        HeadFault::Malformed(_) => StatusCode::BAD_REQUEST,
        HeadFault::TargetTooLong => StatusCode::URI_TOO_LONG,
        HeadFault::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        HeadFault::Late => StatusCode::REQUEST_TIMEOUT,
    };
    text(status, &fault.to_string())
}

fn text(status: StatusCode, line: &str) -> Response<Body> {
    whole(status, TEXT, format!("{}\n", line.trim_end()))
}

fn whole(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests;
