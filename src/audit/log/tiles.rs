//! Tiles and entry bundles: their paths, their content, and the set that a log of a given size has
//! (C2SP tlog-tiles).

mod frontier;

pub(crate) use frontier::Frontier;
#[cfg(test)]
pub(crate) use tests::encode_bundle;

use super::merkle::Hash;

/// How many hashes a full tile has, and how many entries a full bundle has.
pub(crate) const FULL: u16 = 256;
/// How many levels a log of fewer than 2^64 entries has: 0 to 7.
pub(crate) const LEVELS: u8 = 8;
/// The largest level in a path.
const MAX_LEVEL: u8 = 63;
/// The maximal length of an entry: the bundle stores it in two bytes.
pub(crate) const MAX_ENTRY_BYTES: usize = u16::MAX as usize;
/// The maximal length of a bundle.
pub(crate) const MAX_BUNDLE_BYTES: usize = FULL as usize * (2 + MAX_ENTRY_BYTES);

const HASH_BYTES: usize = size_of::<Hash>();

/// A hash tile. Its hash `i` is the root of 256^level entries, from entry `(256 * index + i) *
/// 256^level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Tile {
    /// 0 to 63; level 0 holds the leaf hashes.
    pub(crate) level: u8,
    pub(crate) index: u64,
    /// How many hashes it has, 1 to 256; 256 is a full tile, fewer is a partial one.
    pub(crate) width: u16,
}

/// An entry bundle: up to 256 entries from entry `256 * index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bundle {
    pub(crate) index: u64,
    pub(crate) width: u16,
}

impl Tile {
    /// The tile at this place in a log of this size; `None` if the log has none there.
    pub(crate) fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        let width = width(index, hashes_at(level, size))?;
        Some(Self {
            level,
            index,
            width,
        })
    }

    /// The first entry under one of its hashes.
    pub(crate) fn first_entry(&self, hash: u64) -> u64 {
        let place = self.index.saturating_mul(FULL.into()).saturating_add(hash);
        let below = u64::from(FULL).checked_pow(self.level.into());
        below.map_or(u64::MAX, |below| place.saturating_mul(below))
    }

    /// The path in the folder: `tile/0/x001/234`, or `tile/0/x001/234.p/7` if it is partial.
    pub(crate) fn path(&self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }

    /// Parses a path that [`Self::path`] writes; `None` for all others.
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
    /// The bundle at this place in a log of this size; `None` if the log has none there.
    pub(crate) fn at(index: u64, size: u64) -> Option<Self> {
        let width = width(index, size)?;
        Some(Self { index, width })
    }

    pub(crate) fn first_entry(&self) -> u64 {
        self.index.saturating_mul(FULL.into())
    }

    /// The path in the folder: `tile/entries/x001/234`, or `tile/entries/x001/234.p/7` if it is
    /// partial.
    pub(crate) fn path(&self) -> String {
        format!("tile/entries/{}", place(self.index, self.width))
    }

    /// Parses a path that [`Self::path`] writes; `None` for all others.
    pub(crate) fn parse_path(path: &str) -> Option<Self> {
        let (index, width) = parse_place(path.strip_prefix("tile/entries/")?)?;
        let bundle = Self { index, width };
        (bundle.path() == path).then_some(bundle)
    }
}

/// The use of a name below `tile/`, by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A level, a group of a thousand, or the partial files of one index.
    Folder,
    /// A tile or a bundle.
    File,
}

/// The form of a path's last name; `None` if a log has no such names there.
pub(crate) fn form(path: &str) -> Option<Form> {
    let rest = path.strip_prefix("tile/")?;
    let Some((above, name)) = rest.rsplit_once('/') else {
        let level = rest.parse().ok().filter(|&level: &u8| level <= MAX_LEVEL);
        let is_level = rest == "entries" || level.is_some_and(|level| level.to_string() == rest);
        return is_level.then_some(Form::Folder);
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

/// How many hashes a level has in a log of this size: one for each full tile below.
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

/// The width of the tile at this index if its level has this many hashes.
fn width(index: u64, hashes: u64) -> Option<u16> {
    let full = u64::from(FULL);
    let rest = hashes.checked_sub(index.checked_mul(full)?)?;
    u16::try_from(rest.min(full))
        .ok()
        .filter(|&width| width > 0)
}

/// Groups of three digits, all except the last with an `x`; the width follows if the tile is
/// partial.
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

/// Accepts more than [`place`] writes, so the caller encodes the result and compares.
fn parse_place(text: &str) -> Option<(u64, u16)> {
    let (place, width) = match text.split_once(".p/") {
        Some((place, width)) => (place, width.parse().ok().filter(|w| (1..FULL).contains(w))?),
        None => (text, FULL),
    };
    let digits = place.replace("/x", "").replace(['/', 'x'], "");
    Some((digits.parse().ok()?, width))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContentError {
    #[error("an entry of {0} bytes, over the 65,535 that a bundle can hold")]
    EntryTooLong(usize),
    /// The bytes end within an entry; the number counts the whole entries before it.
    #[error("the bundle ends within its entry {0}")]
    Short(usize),
    #[error("{0} bytes after the bundle's last entry")]
    Trailing(usize),
    #[error("a tile of {found} bytes, not {wanted}")]
    TileLength { found: usize, wanted: usize },
}

/// Appends an entry to a bundle: its length in two bytes, big-endian, and its bytes.
pub(crate) fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), ContentError> {
    let length = u16::try_from(entry.len()).map_err(|_| ContentError::EntryTooLong(entry.len()))?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// Decodes a bundle of exactly `width` entries.
pub(crate) fn decode_bundle(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, ContentError> {
    let mut entries = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    for index in 0..usize::from(width) {
        let (entry, behind) = first_entry(rest).ok_or(ContentError::Short(index))?;
        entries.push(entry);
        rest = behind;
    }
    match rest.len() {
        0 => Ok(entries),
        extra => Err(ContentError::Trailing(extra)),
    }
}

pub(crate) fn encode_tile(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Decodes a tile of `width` hashes.
pub(crate) fn decode_tile(tile: &[u8], width: u16) -> Result<Vec<Hash>, ContentError> {
    let wanted = usize::from(width) * HASH_BYTES;
    let (hashes, _) = tile.as_chunks::<HASH_BYTES>();
    if tile.len() == wanted {
        Ok(hashes.to_vec())
    } else {
        let found = tile.len();
        Err(ContentError::TileLength { found, wanted })
    }
}

pub(crate) fn first_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests;
