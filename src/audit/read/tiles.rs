//! Reads tiles and bundles by index.

use std::io;
use std::sync::Arc;

use super::MissingRange;
use super::files::Files;
use crate::audit::log::merkle::Hash;
use crate::audit::log::tiles::{
    Bundle, ContentError, FULL, MAX_BUNDLE_BYTES, Tile, decode_bundle, decode_tile,
};

/// The length of a full tile.
pub(crate) const MAX_TILE_BYTES: usize = FULL as usize * size_of::<Hash>();

/// The file of a tile or a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TileFile {
    /// The path of the file.
    pub(crate) path: String,
    /// The file's bytes.
    pub(crate) bytes: Vec<u8>,
    /// How many hashes or entries it must have.
    pub(crate) width: u16,
}

impl TileFile {
    /// Reads the file of a tile or bundle. If a partial file is missing, reads the full one, which
    /// begins with the same content: the publisher removes partial files once the full one exists
    /// (C2SP tlog-tiles). `None` if neither exists.
    pub(crate) fn read<E>(
        path: String,
        width: u16,
        mut read: impl FnMut(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<Self>, E> {
        if let Some(bytes) = read(&path)? {
            return Ok(Some(Self { path, bytes, width }));
        }
        let Some((full, _)) = path.split_once(".p/") else {
            return Ok(None);
        };
        let bytes = read(full)?;
        Ok(bytes.map(|bytes| Self {
            path: full.to_owned(),
            bytes,
            width: FULL,
        }))
    }

    /// The first `count` hashes of a tile.
    pub(crate) fn hashes(&self, count: u16) -> Result<Vec<Hash>, ContentError> {
        let mut hashes = decode_tile(&self.bytes, self.width)?;
        hashes.truncate(count.into());
        Ok(hashes)
    }

    /// The place of the first hash that differs from these; both have the same first entry.
    pub(crate) fn first_wrong(&self, hashes: &[Hash]) -> Result<Option<u64>, ContentError> {
        let found = decode_tile(&self.bytes, self.width)?;
        let mut pairs = (0..).zip(found.iter().zip(hashes));
        let wrong = pairs.find(|(_, (found, right))| found != right);
        Ok(wrong.map(|(place, _)| place))
    }

    /// The first `count` entries of a bundle.
    pub(crate) fn entries(&self, count: u16) -> Result<Vec<&[u8]>, ContentError> {
        let mut entries = decode_bundle(&self.bytes, self.width)?;
        entries.truncate(count.into());
        Ok(entries)
    }
}

/// Reads tiles and bundles of a log; does not verify them.
#[derive(Clone, Debug)]
pub(super) struct TileReader {
    files: Arc<dyn Files>,
}

impl TileReader {
    pub(super) fn new(files: Arc<dyn Files>) -> Self {
        Self { files }
    }

    /// A tile's hashes.
    pub(super) fn hashes(&self, tile: Tile) -> Result<Vec<Hash>, MissingRange> {
        let first = tile.first_entry(0);
        let file = self.file(tile.path(), tile.width, MAX_TILE_BYTES, first)?;
        file.hashes(tile.width).map_err(|error| {
            MissingRange::damaged(error.to_string())
                .at(first)
                .in_file(file.path)
        })
    }

    /// A bundle's file.
    pub(super) fn bundle(&self, bundle: Bundle) -> Result<TileFile, MissingRange> {
        let first = bundle.first_entry();
        self.file(bundle.path(), bundle.width, MAX_BUNDLE_BYTES, first)
    }

    fn file(
        &self,
        path: String,
        width: u16,
        max_bytes: usize,
        first: u64,
    ) -> Result<TileFile, MissingRange> {
        let read = |path: &str| {
            let bytes = self.files.file(path, max_bytes);
            bytes.map_err(|error: io::Error| MissingRange::unread(path, &error).at(first))
        };
        let missing = || MissingRange::damaged("is missing").at(first).in_file(&path);
        TileFile::read(path.clone(), width, read)?.ok_or_else(missing)
    }
}
