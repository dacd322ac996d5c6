//! `/audit/`: the published files of the trail in C2SP tlog-tiles layout, read-only.
//!
//! Only `checkpoint` and well-formed tile paths are looked for, and no link is followed. Files are read
//! apart from the threads that serve, and so many at once; a file counts until its reader has it.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{TEXT, answer, text};
use crate::audit::log::note::MAX_NOTE_BYTES;
use crate::audit::log::tiles::{Bundle, FULL, MAX_BUNDLE_BYTES, Tile};
use crate::audit::read::{Files, FolderFiles};
use crate::request::Body;

/// Where it stands below the listener.
pub(super) const PREFIX: &str = "/audit/";
/// Files that are read or sent at once; each is at most [`MAX_BUNDLE_BYTES`] long.
const MAX_FILES: usize = 8;
/// Who finds that many under way waits so long.
const PATIENCE: Duration = Duration::from_secs(2);
const BYTES: &str = "application/octet-stream";
/// A newer one comes within a second of an entry.
const SHORT: &str = "max-age=1";
/// A published tile never changes.
const LONG: &str = "max-age=31536000, immutable";

/// The trail's folder, as far as it is published; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Published {
    directory: Arc<PathBuf>,
    places: Arc<Semaphore>,
}

/// A file that may be asked for.
struct Known {
    max_bytes: usize,
    content_type: &'static str,
    cached: &'static str,
}

impl Published {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory: Arc::new(directory),
            places: Arc::new(Semaphore::new(MAX_FILES)),
        }
    }

    /// The file at a path below [`PREFIX`].
    pub(super) async fn file(&self, path: String) -> Response<Body> {
        let Some(known) = known(&path) else {
            let what = "no file of a log: checkpoint, tile/LEVEL/…, tile/entries/…";
            return text(StatusCode::NOT_FOUND, what);
        };
        let place = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, place).await else {
            return busy();
        };
        let directory = Arc::clone(&self.directory);
        let max_bytes = known.max_bytes;
        let read = tokio::task::spawn_blocking(move || {
            FolderFiles::open(&directory)?.file(&path, max_bytes)
        });
        match read.await {
            Ok(Ok(Some(bytes))) => {
                let whole = FileBody {
                    bytes: bytes.into(),
                    _place: place,
                };
                let mut response = answer(StatusCode::OK, known.content_type, String::new());
                *response.body_mut() = Body::stream(whole);
                let cached = HeaderValue::from_static(known.cached);
                response.headers_mut().insert(CACHE_CONTROL, cached);
                response
            }
            Ok(Ok(None)) => text(
                StatusCode::NOT_FOUND,
                "not there, or not yet, or not any more",
            ),
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot read a published file of the trail");
                text(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be read")
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "it cannot be read"),
        }
    }
}

fn known(path: &str) -> Option<Known> {
    if path == "checkpoint" {
        return Some(Known {
            max_bytes: MAX_NOTE_BYTES,
            content_type: TEXT,
            cached: SHORT,
        });
    }
    let max_bytes = match (Tile::parse_path(path), Bundle::parse_path(path)) {
        (Some(_), _) => usize::from(FULL) * 32,
        (None, Some(_)) => MAX_BUNDLE_BYTES,
        (None, None) => return None,
    };
    Some(Known {
        max_bytes,
        content_type: BYTES,
        cached: LONG,
    })
}

fn busy() -> Response<Body> {
    let what = "many files of the trail are being read: ask again";
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, what);
    let seconds = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// A file on its way out, which keeps its place until it is sent or given up.
struct FileBody {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
