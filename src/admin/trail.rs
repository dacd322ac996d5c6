//! `/audit/`: the published files of the trail in C2SP tlog-tiles layout, read-only.
//!
//! Only `checkpoint` and well-formed tile paths name a file, and the listener follows no symbolic link.
//! Blocking threads read the files. The number of files that are read or sent at once is limited.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{Extensions, HeaderMap, HeaderValue, Response, StatusCode, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{TEXT, text, whole};
use crate::audit::log::checkpoint::MAX_NOTE_BYTES;
use crate::audit::log::tiles::{Bundle, FULL, MAX_BUNDLE_BYTES, Tile};
use crate::audit::read::{Files, FolderFiles};
use crate::request::Body;

/// The path prefix of the log's files on the admin listener.
pub(super) const PREFIX: &str = "/audit/";
/// The maximum number of files that are read or sent at once. Each file is at most [`MAX_BUNDLE_BYTES`]
/// long.
const MAX_FILES: usize = 8;
/// The maximum time that a request waits while [`MAX_FILES`] other files are being read or sent.
const PATIENCE: Duration = Duration::from_secs(2);
const BYTES: &str = "application/octet-stream";
/// The `Cache-Control` of the checkpoint. A newer checkpoint normally follows within a second of a
/// new entry.
const SHORT: &str = "max-age=1";
/// The `Cache-Control` of tiles and bundles. A published tile or bundle never changes.
const LONG: &str = "max-age=31536000, immutable";

/// The maximum size in bytes of a bundle that the listener compresses. The listener sends a longer
/// bundle uncompressed, because compression blocks a thread of the runtime.
const MAX_COMPRESSED_BYTES: usize = 1 << 20;

/// The published files of the trail's folder; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Published {
    directory: Arc<PathBuf>,
    places: Arc<Semaphore>,
}

/// How to read and serve a published file.
struct Known {
    max_bytes: usize,
    content_type: &'static str,
    cached: &'static str,
    is_bundle: bool,
}

/// Marks a response for compression.
#[derive(Clone)]
struct Compressible;

/// Whether to compress a response. The listener compresses only entry bundles, as C2SP tlog-tiles asks. Tiles
/// consist of hashes, which do not compress.
pub(super) fn is_compressible(
    _: StatusCode,
    _: Version,
    _: &HeaderMap,
    extensions: &Extensions,
) -> bool {
    extensions.get::<Compressible>().is_some()
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
                let compressible = known.is_bundle && bytes.len() <= MAX_COMPRESSED_BYTES;
                let held = Bytes::from_owner(Held {
                    bytes,
                    _place: place,
                });
                let mut response = whole(StatusCode::OK, known.content_type, held);
                let cached = HeaderValue::from_static(known.cached);
                response.headers_mut().insert(CACHE_CONTROL, cached);
                if compressible {
                    response.extensions_mut().insert(Compressible);
                }
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
            is_bundle: false,
        });
    }
    let (max_bytes, is_bundle) = match (Tile::parse_path(path), Bundle::parse_path(path)) {
        (Some(_), _) => (usize::from(FULL) * 32, false),
        (None, Some(_)) => (MAX_BUNDLE_BYTES, true),
        (None, None) => return None,
    };
    Some(Known {
        max_bytes,
        content_type: BYTES,
        cached: LONG,
        is_bundle,
    })
}

fn busy() -> Response<Body> {
    let what = "many files of the trail are being read: ask again";
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, what);
    let seconds = HeaderValue::from_static("1");
    response.headers_mut().insert(RETRY_AFTER, seconds);
    response
}

/// The bytes of a file. The file counts toward [`MAX_FILES`] until these bytes are sent or dropped.
struct Held {
    bytes: Vec<u8>,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
