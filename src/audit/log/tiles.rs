//! Tiles and entry bundles (C2SP tlog-tiles): their paths, their content, and which ones a log of a
//! given size has. [`Frontier`] appends leaves to the partial tiles at the log's end.

use std::io;

use super::merkle::{Hash, HashReader, root_of};
use super::{FormatError, parse_number};
#[cfg(test)]
pub(crate) use tests::encode_bundle;

/// How many hashes a full tile has, and how many entries a full bundle has.
pub(crate) const FULL: u16 = 256;
/// How many levels of tiles a log of fewer than 2^64 entries can have: levels 0 to 7.
pub(crate) const LEVELS: u8 = 8;
/// The highest level that the path of a tile may name.
const MAX_LEVEL: u8 = 63;
/// The maximum length of an entry. A bundle stores the length of each entry in two bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// The maximum length of a bundle in bytes.
pub(crate) const MAX_BUNDLE_BYTES: usize = FULL as usize * (2 + MAX_ENTRY_BYTES);

/// A hash tile. Hash `i` of the tile is the root over 256^level entries, from entry
/// `(256 * index + i) * 256^level` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tile {
    /// 0 to 63; level 0 holds the leaf hashes.
    pub(crate) level: u8,
    pub(crate) index: u64,
    /// How many hashes the tile has, 1 to 256. A tile with fewer than 256 hashes is partial.
    pub(crate) width: u16,
}

/// An entry bundle: up to 256 entries, from entry `256 * index` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bundle {
    pub(crate) index: u64,
    pub(crate) width: u16,
}

impl Tile {
    /// The tile with this level and index in a log of this size; `None` if the log has no such
    /// tile.
    pub(crate) fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width(index, hashes_at(level, size))?;
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// The index of the first entry that hash number `hash` of this tile covers.
    pub(crate) fn first_entry(&self, hash: u64) -> u64 {
        let place = self.index.saturating_mul(FULL.into()).saturating_add(hash);
        let below = u64::from(FULL).checked_pow(self.level.into());
        below.map_or(u64::MAX, |below| place.saturating_mul(below))
    }

    /// The path in the log's folder: `tile/0/x001/234` for a full tile, `tile/0/x001/234.p/7` for a
    /// partial one.
    pub(crate) fn path(&self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }

    /// Parses a path. Returns `None` unless [`Self::path`] would return exactly this path.
    pub(crate) fn parse_path(path: &str) -> Option<Self> {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = level.parse().ok().filter(|&level| level <= MAX_LEVEL)?;
        let (index, width) = parse_place(rest)?;
        let tile = Self {
            level,
            index,
            width,
        };
        (tile.path() == path).then_some(tile)
    }
}

impl Bundle {
    /// The bundle with this index in a log of this size; `None` if the log has no such bundle.
    pub(crate) fn at(index: u64, size: u64) -> Option<Self> {
        let width = width(index, size)?;
        Some(Self { index, width })
    }

    pub(crate) fn first_entry(&self) -> u64 {
        self.index.saturating_mul(FULL.into())
    }

    /// The path in the log's folder: `tile/entries/x001/234` for a full bundle,
    /// `tile/entries/x001/234.p/7` for a partial one.
    pub(crate) fn path(&self) -> String {
        format!("tile/entries/{}", place(self.index, self.width))
    }

    /// Parses a path. Returns `None` unless [`Self::path`] would return exactly this path.
    pub(crate) fn parse_path(path: &str) -> Option<Self> {
        let (index, width) = parse_place(path.strip_prefix("tile/entries/")?)?;
        let bundle = Self { index, width };
        (bundle.path() == path).then_some(bundle)
    }
}

/// Whether a name below `tile/` belongs to a folder or to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A folder: for a level, for a group of a thousand indexes, or for the partial files of one
    /// index.
    Folder,
    /// A file: a tile or a bundle.
    File,
}

/// Tells from the last name in a path whether the path is that of a folder or of a file. Returns
/// `None` if no log has a folder or file with that name there.
pub(crate) fn form(path: &str) -> Option<Form> {
    let rest = path.strip_prefix("tile/")?;
    let Some((above, name)) = rest.rsplit_once('/') else {
        let is_level = |level| level <= u64::from(MAX_LEVEL);
        let is_folder = rest == "entries" || parse_number(rest).is_some_and(is_level);
        return is_folder.then_some(Form::Folder);
    };
    let is_number = |text: &str| text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    let is_group = |text: Option<&str>| text.is_some_and(|t| t.len() == 3 && is_number(t));
    match name {
        _ if is_group(Some(name)) || above.ends_with(".p") && is_number(name) => Some(Form::File),
        _ if is_group(name.strip_prefix('x')) || is_group(name.strip_suffix(".p")) => {
            Some(Form::Folder)
        }
        _ => None,
    }
}

/// How many hashes a level has in a log of this size. Level 0 has one hash for each entry; a higher
/// level has one for each full tile on the level below.
pub(crate) fn hashes_at(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * u32::from(level)).unwrap_or(0)
}

/// All hash tiles of a log of this size, level by level.
pub(crate) fn tiles_at(size: u64) -> impl Iterator<Item = Tile> {
    (0..LEVELS).flat_map(move |level| (0..).map_while(move |index| Tile::at(level, index, size)))
}

/// All bundles of a log of this size.
#[cfg(test)]
pub(crate) fn bundles_at(size: u64) -> impl Iterator<Item = Bundle> {
    (0..).map_while(move |index| Bundle::at(index, size))
}

/// The width of the tile at an index on a level that has `hashes` hashes; `None` if there is no
/// such tile.
fn width(index: u64, hashes: u64) -> Option<u16> {
    let full = u64::from(FULL);
    let rest = hashes.checked_sub(index.checked_mul(full)?)?;
    u16::try_from(rest.min(full))
        .ok()
        .filter(|&width| width > 0)
}

/// Writes an index as groups of three digits, with an `x` before each group except the last. If the
/// tile is partial, appends its width.
fn place(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1_000);
    let mut rest = index / 1_000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1_000);
        rest /= 1_000;
    }
    if width < FULL {
        text = format!("{text}.p/{width}");
    }
    text
}

/// Parses the text that [`place`] writes. Also accepts other spellings, so the caller must format
/// the result again and compare it with the text.
fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (place, width) = match text.split_once(".p/") {
        Some((place, width)) => (place, width.parse().ok().filter(|w| (1..FULL).contains(w))?),
        None => (text, FULL),
    };
    let digits = place.replace("/x", "").replace(['/', 'x'], "");
    Some((digits.parse().ok()?, width))
}

/// Appends an entry to a bundle: first the entry's length as two big-endian bytes, then the entry.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), FormatError> {
    let length = u16::try_from(entry.len()).map_err(|_| {
        let what = "over the 65,535 that a bundle can hold";
        FormatError(format!("an entry of {} bytes, {what}", entry.len()))
    })?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Decodes a bundle that must have `width` entries.
pub(crate) fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, FormatError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    for index in 0..usize::from(width) {
        let (entry, behind) = first_entry(rest)
            .ok_or_else(|| FormatError(format!("the bundle ends within its entry {index}")))?;
        entries.push(entry);
        rest = behind;
    }
    match rest.len() {
        0 => Ok(entries),
        extra => Err(FormatError(format!(
            "{extra} bytes after the bundle's last entry"
        ))),
    }
}

pub(crate) fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Decodes a tile that must have `width` hashes.
pub(crate) fn decode_tile(tile: &[u8], width: u16) -> Result<Vec<Hash>, FormatError> {
    let (hashes, rest) = tile.as_chunks();
    if rest.is_empty() && hashes.len() == usize::from(width) {
        return Ok(hashes.to_vec());
    }
    let (found, wanted) = (tile.len(), usize::from(width) * size_of::<Hash>());
    let what = format!("a tile of {found} bytes, not {wanted}");
    Err(FormatError(what))
}

pub(crate) fn first_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// The partial tiles of a log at one size: at most 255 hashes on each of 8 levels, 64 KiB in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frontier {
    size: u64,
    /// For each level, the hashes after the last full tile, at most 255.
    levels: [Vec<Hash>; LEVELS as usize],
}

impl Frontier {
    /// Reads the frontier from the tiles of a log of this size.
    pub(crate) fn read(size: u64, reader: &dyn HashReader) -> io::Result<Self> {
        let partial = (0..LEVELS).map(|level| {
            let end = hashes_at(level, size);
            let begin = end - end % u64::from(FULL);
            let hashes = (begin..end).map(|index| reader.hash(level, index));
            hashes.collect()
        });
        Ok(Self::of(size, partial.collect::<io::Result<Vec<_>>>()?))
    }

    /// Builds the frontier from the hashes of each level's partial tile, lowest level first.
    pub(crate) fn of(size: u64, partial: impl IntoIterator<Item = Vec<Hash>>) -> Self {
        let mut partial = partial.into_iter();
        let levels = std::array::from_fn(|_| partial.next().unwrap_or_default());
        Self { size, levels }
    }

    /// The frontier at an earlier size. The result is wrong if a tile that was partial at that size
    /// is full now, because the frontier does not keep the hashes of full tiles.
    pub(crate) fn back_to(&self, size: u64) -> Self {
        let mut earlier = self.clone();
        earlier.size = size;
        for (level, hashes) in (0..).zip(&mut earlier.levels) {
            hashes.truncate((hashes_at(level, size) % u64::from(FULL)) as usize);
        }
        earlier
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next leaf. Returns the tiles that this leaf fills, lowest level first.
    pub(crate) fn push(&mut self, leaf: Hash) -> Vec<(Tile, Vec<Hash>)> {
        self.size += 1;
        let mut filled = Vec::new();
        let mut hash = leaf;
        for (level, hashes) in (0..LEVELS).zip(&mut self.levels) {
            hashes.push(hash);
            if hashes.len() < usize::from(FULL) {
                break;
            }
            let index = hashes_at(level + 1, self.size).saturating_sub(1);
            let full = std::mem::take(hashes);
            hash = root_of(&full);
            filled.extend(Tile::at(level, index, self.size).map(|tile| (tile, full)));
        }
        filled
    }

    /// The partial tiles, lowest level first.
    pub(crate) fn partial(&self) -> Vec<(Tile, Vec<Hash>)> {
        let partial = |(level, hashes): (u8, &Vec<Hash>)| {
            let index = hashes_at(level, self.size) / u64::from(FULL);
            Some((Tile::at(level, index, self.size)?, hashes.clone()))
        };
        (0..LEVELS).zip(&self.levels).filter_map(partial).collect()
    }

    pub(crate) fn root(&self) -> Hash {
        let root = self.levels.iter().fold(None, |lower, hashes| {
            // The root over all lower levels is the last node of this level.
            let nodes: Vec<Hash> = hashes.iter().copied().chain(lower).collect();
            (!nodes.is_empty()).then(|| root_of(&nodes))
        });
        root.unwrap_or_else(|| root_of(&[]))
    }
}

#[cfg(test)]
mod tests;
