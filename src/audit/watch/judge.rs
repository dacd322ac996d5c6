//! Judges one published file without reading the log: entries by the tile that holds their hashes, a
//! tile by the tile above it, the partial tiles, which are the tree's right edge, by the root that
//! the checkpoint signs.

use std::collections::HashMap;
use std::sync::Arc;

use crate::audit::integrity::{Published, altered, closed, grown};
use crate::audit::log::checkpoint::Checkpoint;
use crate::audit::log::merkle::{Hash, leaf, root_of};
use crate::audit::log::tiles::{
    Bundle, ContentError, FULL, Frontier, LEVELS, Tile, decode_bundle, decode_tile, hashes_at,
};
use crate::audit::{Cause, Closed};

const TILE: u64 = FULL as u64;

/// What a file is that nothing is wrong with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// It is as the checkpoint says, or it is none of the log's files.
    Right,
    /// No checkpoint covers it yet.
    Later,
}

/// Judges by one checkpoint, and keeps the tiles that it has found right.
#[derive(Debug)]
pub(super) struct Judge<'p> {
    published: &'p Published,
    checkpoint: Checkpoint,
    edge: Option<Result<Edge, Closed>>,
    full: HashMap<(u8, u64), Hashes>,
}

type Hashes = Arc<Vec<Hash>>;
/// The partial tile of each level.
type Edge = Vec<Hashes>;

/// A tile or a bundle.
enum File {
    Tile(Tile),
    Bundle(Bundle),
}

impl<'p> Judge<'p> {
    /// By the checkpoint that stands there now.
    pub(super) fn new(published: &'p Published) -> Result<Self, Closed> {
        Ok(Self {
            published,
            checkpoint: published.checkpoint()?,
            edge: None,
            full: HashMap::new(),
        })
    }

    /// How many entries the checkpoint covers.
    pub(super) fn size(&self) -> u64 {
        self.checkpoint.size
    }

    /// Their root.
    pub(super) fn root(&self) -> Hash {
        self.checkpoint.root
    }

    /// Judges what stands at a path. What is told may be wrong with a file above it: then that is named.
    pub(super) fn judge(&mut self, path: &str) -> Result<Judged, Closed> {
        let size = self.size();
        let (file, width, now) = if let Some(tile) = Tile::parse_path(path) {
            let now = Tile::at(tile.level, tile.index, size).map_or(0, |tile| tile.width);
            (File::Tile(tile), tile.width, now)
        } else if let Some(bundle) = Bundle::parse_path(path) {
            let now = Bundle::at(bundle.index, size).map_or(0, |bundle| bundle.width);
            (File::Bundle(bundle), bundle.width, now)
        } else {
            return Ok(Judged::Right);
        };
        if width > now {
            let found = self.published.look(path)?;
            return Ok(found.map_or(Judged::Right, |_| Judged::Later));
        }
        let bytes = if width == now {
            self.published.there(path, size)?
        } else {
            // Of an older checkpoint, and about to go.
            match self.published.read(path)? {
                Some(bytes) => bytes,
                None => return Ok(Judged::Right),
            }
        };
        let (found, above) = match file {
            File::Tile(tile) => {
                let found = tile_of(path, &bytes, width)?;
                (found, self.tile(path, tile.level, tile.index)?)
            }
            File::Bundle(bundle) => {
                let above = self.tile(path, 0, bundle.index)?;
                let leaves = leaves_of(&bytes, width);
                (
                    leaves.map_err(|error| not_entries(path, &bytes, error, &above))?,
                    above,
                )
            }
        };
        match above.get(..found.len()) == Some(&found) {
            true => Ok(Judged::Right),
            false => Err(altered(path, "it is not what the tree holds")),
        }
    }

    /// The hashes of a tile, found right up to the root; `asked` is the file that is judged by them.
    fn tile(&mut self, asked: &str, level: u8, index: u64) -> Result<Hashes, Closed> {
        let tile = Tile::at(level, index, self.size()).ok_or_else(grown)?;
        if tile.width < FULL {
            let edge = match &self.edge {
                Some(edge) => edge.clone(),
                None => {
                    let edge = self.read_edge(asked);
                    self.edge.insert(edge).clone()
                }
            };
            return edge?.get(usize::from(level)).cloned().ok_or_else(grown);
        }
        if let Some(hashes) = self.full.get(&(level, index)) {
            return Ok(Arc::clone(hashes));
        }
        let path = tile.path();
        let hashes = tile_of(&path, &self.published.there(&path, self.size())?, FULL)?;
        let above = self.tile(asked, level + 1, index / TILE)?;
        let wanted = usize::try_from(index % TILE).ok();
        if wanted.and_then(|at| above.get(at)) != Some(&root_of(&hashes)) {
            return Err(altered(&path, "its root is not in the tile above"));
        }
        let hashes = Arc::new(hashes);
        self.full.insert((level, index), Arc::clone(&hashes));
        Ok(hashes)
    }

    /// The partial tiles, whose root must be the checkpoint's.
    fn read_edge(&self, asked: &str) -> Result<Edge, Closed> {
        let mut edge = Edge::new();
        for level in 0..LEVELS {
            let hashes = match self.partial(level) {
                None => Vec::new(),
                Some(tile) => {
                    let path = tile.path();
                    let bytes = self.published.there(&path, self.size())?;
                    tile_of(&path, &bytes, tile.width)?
                }
            };
            edge.push(Arc::new(hashes));
        }
        let levels = edge.iter().map(|hashes| hashes.to_vec());
        if Frontier::of(self.size(), levels).root() == self.checkpoint.root {
            return Ok(edge);
        }
        let other = (0..LEVELS).find(|level| !self.is_made_from_below(*level, &edge));
        let path = other.and_then(|level| self.partial(level));
        let path = path.map_or_else(|| asked.to_owned(), |tile| tile.path());
        let what = "the tree that it is part of has not the root that the checkpoint signs";
        Err(altered(&path, what))
    }

    fn partial(&self, level: u8) -> Option<Tile> {
        let full = hashes_at(level, self.size()) / TILE;
        Tile::at(level, full, self.size())
    }

    /// Whether a partial tile holds the hashes of what stands below it, as far as that can be read.
    fn is_made_from_below(&self, level: u8, edge: &[Hashes]) -> bool {
        let hashes = edge.get(usize::from(level)).map_or(&[][..], |h| h);
        let full = hashes_at(level, self.size()) / TILE;
        let Some(below) = level.checked_sub(1) else {
            let Some(bundle) = Bundle::at(full, self.size()) else {
                return true;
            };
            let path = bundle.path();
            let leaves = self.published.read(&path).ok().flatten();
            let leaves = leaves.and_then(|bytes| leaves_of(&bytes, bundle.width).ok());
            return leaves.is_none_or(|leaves| leaves == hashes);
        };
        (full * TILE..).zip(hashes).all(|(index, hash)| {
            let (level, width) = (below, FULL);
            let tile = Tile {
                level,
                index,
                width,
            };
            let path = tile.path();
            let found = self.published.read(&path).ok().flatten();
            let found = found.and_then(|bytes| tile_of(&path, &bytes, FULL).ok());
            found.is_none_or(|found| root_of(&found) == *hash)
        })
    }
}

fn tile_of(path: &str, bytes: &[u8], width: u16) -> Result<Vec<Hash>, Closed> {
    decode_tile(bytes, width).map_err(|error| match error {
        ContentError::TileLength { found, wanted } if found < wanted => truncated(path, &error),
        _ => altered(path, &error.to_string()),
    })
}

fn leaves_of(bytes: &[u8], width: u16) -> Result<Vec<Hash>, ContentError> {
    Ok(decode_bundle(bytes, width)?.into_iter().map(leaf).collect())
}

/// One that ends early was cut where all before that is as it was.
fn not_entries(path: &str, bytes: &[u8], error: ContentError, above: &[Hash]) -> Closed {
    let ContentError::Short(whole) = error else {
        return altered(path, &error.to_string());
    };
    let width = u16::try_from(whole).unwrap_or(FULL);
    let behind = match decode_bundle(bytes, width) {
        Err(ContentError::Trailing(behind)) => behind,
        _ => 0,
    };
    let leaves = leaves_of(&bytes[..bytes.len() - behind], width);
    match leaves.is_ok_and(|leaves| above.starts_with(&leaves)) {
        true => truncated(path, &error),
        false => altered(path, &error.to_string()),
    }
}

fn truncated(path: &str, error: &ContentError) -> Closed {
    closed(Cause::Truncated, format!("{path}: {error}"))
}

#[cfg(test)]
mod tests;
