//! Tests of paths, of the tiles of each size, and of their content.

use proptest::prelude::*;

use super::*;
use crate::audit::log::hex;
use crate::audit::log::merkle::test_tree::{Tree, leaves};
use crate::audit::log::merkle::{leaf, root_at, sha256};

pub(crate) fn encode_bundle<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, FormatError> {
    let mut bundle = Vec::new();
    for entry in entries {
        push_entry(&mut bundle, entry.as_ref())?;
    }
    Ok(bundle)
}

fn tile(level: u8, index: u64, width: u16) -> Tile {
    Tile {
        level,
        index,
        width,
    }
}

fn tile_paths(size: u64) -> Vec<String> {
    tiles_at(size).map(|tile| tile.path()).collect()
}

#[test]
fn paths_are_those_of_the_published_text() {
    for (tile, path) in [
        (tile(0, 0, 256), "tile/0/000"),
        (tile(0, 5, 256), "tile/0/005"),
        (tile(0, 999, 1), "tile/0/999.p/1"),
        (tile(1, 1_000, 255), "tile/1/x001/000.p/255"),
        (tile(63, 1_234_067, 256), "tile/63/x001/x234/067"),
        (tile(0, 1_234, 7), "tile/0/x001/234.p/7"),
        (
            tile(0, u64::MAX, 256),
            "tile/0/x018/x446/x744/x073/x709/x551/615",
        ),
    ] {
        assert_eq!(tile.path(), path);
        assert_eq!(Tile::parse_path(path), Some(tile));
    }
    let bundle = Bundle {
        index: 1_234_067,
        width: 12,
    };
    assert_eq!(bundle.path(), "tile/entries/x001/x234/067.p/12");
    assert_eq!(Bundle::parse_path(&bundle.path()), Some(bundle));
}

#[test]
fn a_path_has_one_spelling() {
    for bad in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/1000",
        "tile/0/x000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/x1/000",
        "tile/0/x001/00",
        "tile/0/x001/0x0",
        "tile/0//000",
        "tile/0/000/",
        "/tile/0/000",
        "tile/00/000",
        "tile/+0/000",
        "tile/64/000",
        "tile/256/000",
        "tile/8/0/000",
        "tile/data/000",
        "tile/0/+00",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/1.p/1",
        "tile/0/000.p/-1",
        "tile/0/x018/x446/x744/x073/x709/x551/616",
        "tile/0/../000",
    ] {
        assert_eq!(Tile::parse_path(bad), None, "{bad:?}");
        let bundle = bad.replace("tile/0", "tile/entries");
        assert_eq!(Bundle::parse_path(&bundle), None, "{bundle:?}");
    }
    assert_eq!(Tile::parse_path("tile/entries/000"), None);
}

#[test]
fn sizes_imply_the_tiles_of_the_published_text() {
    assert_eq!(tile_paths(0), [""; 0]);
    assert_eq!(tile_paths(1), ["tile/0/000.p/1"]);
    assert_eq!(tile_paths(255), ["tile/0/000.p/255"]);
    assert_eq!(tile_paths(256), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(
        tile_paths(257),
        ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]
    );
    let paths = tile_paths(65_536);
    assert_eq!(paths.len(), 258);
    assert_eq!(paths[255..], ["tile/0/255", "tile/1/000", "tile/2/000.p/1"]);
    let paths = tile_paths(70_000);
    assert_eq!(paths.len(), 277);
    assert_eq!(
        paths[272..],
        [
            "tile/0/272",
            "tile/0/273.p/112",
            "tile/1/000",
            "tile/1/001.p/17",
            "tile/2/000.p/1"
        ]
    );
}

#[test]
fn bundles_are_the_lowest_level() {
    for size in [0, 1, 255, 256, 257, 70_000] {
        let bundles: Vec<_> = bundles_at(size).map(|b| (b.index, b.width)).collect();
        let lowest: Vec<_> = tiles_at(size)
            .filter(|tile| tile.level == 0)
            .map(|tile| (tile.index, tile.width))
            .collect();
        assert_eq!(bundles, lowest, "{size}");
        for (index, width) in bundles {
            assert_eq!(Bundle::at(index, size), Some(Bundle { index, width }));
        }
    }
    assert_eq!(Bundle::at(1, 256), None);
}

#[test]
fn the_largest_log_has_eight_levels() {
    let top = Tile::at(7, 0, u64::MAX).unwrap();
    assert_eq!(top.width, 255);
    assert_eq!(Tile::at(8, 0, u64::MAX), None);
    assert_eq!(Tile::at(63, 0, u64::MAX), None);
    assert_eq!(Tile::at(0, u64::MAX, u64::MAX), None);
    let last = Tile::at(0, u64::MAX / 256, u64::MAX).unwrap();
    assert_eq!(last.width, 255);
}

#[test]
fn a_bundle_is_that_of_the_published_vector() {
    let bundle = encode_bundle(&["entry 0", "entry 1"]).unwrap();
    assert_eq!(hex(&bundle), "0007656e74727920300007656e7472792031");
    let entries = decode_bundle(&bundle, 2).unwrap();
    assert_eq!(entries, [b"entry 0", b"entry 1"]);
}

#[test]
fn a_tile_is_that_of_the_published_vector() {
    let hashes: Vec<Hash> = (0..5)
        .map(|i| leaf(format!("entry {i}").as_bytes()))
        .collect();
    let tile = encode_tile(&hashes);
    assert_eq!(
        hex(&sha256(&tile)),
        "adc29509b5dc0780aec3699d4682c1a9f11b45bb58e041d834924b8c4bf31098"
    );
    assert_eq!(decode_tile(&tile, 5), Ok(hashes));
}

#[test]
fn a_tile_has_32_bytes_for_each_hash() {
    for (bytes, width) in [(0, 1), (31, 1), (33, 1), (64, 1), (32, 2), (8_191, 256)] {
        assert_eq!(
            decode_tile(&vec![0; bytes], width).unwrap_err().to_string(),
            format!("a tile of {bytes} bytes, not {}", usize::from(width) * 32)
        );
    }
}

#[test]
fn an_entry_may_be_empty_and_may_have_65535_bytes() {
    let entries = [vec![], vec![7; MAX_ENTRY_BYTES]];
    let bundle = encode_bundle(&entries).unwrap();
    assert_eq!(bundle.len(), 4 + MAX_ENTRY_BYTES);
    assert_eq!(decode_bundle(&bundle, 2).unwrap(), entries);
}

#[test]
fn an_entry_that_is_too_long_leaves_the_bundle_as_it_was() {
    let mut bundle = encode_bundle(&["a"]).unwrap();
    let long = vec![0; MAX_ENTRY_BYTES + 1];
    let refused = push_entry(&mut bundle, &long).unwrap_err().to_string();
    assert!(refused.starts_with("an entry of 65536 bytes"), "{refused}");
    assert_eq!(bundle, [0, 1, b'a']);
}

#[test]
fn a_bundle_cut_or_lengthened_at_any_byte_is_refused() {
    let bundle = encode_bundle(&["entry 0", "", "entry 2"]).unwrap();
    for cut in 0..bundle.len() {
        let error = decode_bundle(&bundle[..cut], 3).unwrap_err().to_string();
        assert!(error.starts_with("the bundle ends within"), "{cut}");
    }
    let longer = [bundle.as_slice(), &[0, 0]].concat();
    for (bundle, width, extra) in [(&longer, 3, 2), (&bundle, 2, 9)] {
        let error = decode_bundle(bundle, width).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{extra} bytes after the bundle's last entry")
        );
    }
}

#[test]
fn the_root_is_that_of_all_leaves_at_each_size() {
    let mut frontier = Frontier::default();
    let tree = Tree::of(70_000);
    assert_eq!(frontier.root(), root_of(&[]));
    for leaf in leaves(70_000) {
        frontier.push(leaf);
        if frontier.size() < 1_030
            || frontier.size() % 509 == 0
            || frontier.size() > 65_530 && frontier.size() < 65_540
        {
            let root = root_at(frontier.size(), &tree).unwrap();
            assert_eq!(frontier.root(), root, "{} leaves", frontier.size());
        }
    }
}

#[test]
fn every_tile_of_the_size_is_seen_once() {
    let tree = Tree::of(66_000);
    let mut frontier = Frontier::default();
    let mut seen: Vec<(Tile, Vec<Hash>)> = leaves(66_000)
        .flat_map(|leaf| frontier.push(leaf))
        .collect();
    seen.extend(frontier.partial());
    seen.sort_unstable();
    let wanted: Vec<_> = tiles_at(66_000)
        .map(|tile| (tile, tree.tile(tile)))
        .collect();
    assert_eq!(seen, wanted);
}

#[test]
fn it_goes_back_while_no_partial_tile_has_filled() {
    let at = |size| Frontier::read(size, &Tree::of(size)).unwrap();
    for (now, before) in [
        (66_000, &[0, 65_536, 65_792, 65_999][..]),
        (65_535, &[0, 256, 65_280, 65_534]),
    ] {
        let frontier = at(now);
        for size in before {
            assert_eq!(frontier.back_to(*size), at(*size), "{now} to {size}");
        }
    }
}

#[test]
fn it_is_read_back_from_tiles() {
    let mut frontier = Frontier::default();
    for (size, leaf) in (1..=1_100).zip(leaves(1_100)) {
        frontier.push(leaf);
        assert_eq!(
            Frontier::read(size, &Tree::of(size)).unwrap(),
            frontier,
            "{size}"
        );
    }
}

proptest! {
    #[test]
    fn a_path_is_read_back(level in 0_u8..=63, index: u64, width in 1_u16..=256) {
        let tile = tile(level, index, width);
        prop_assert_eq!(Tile::parse_path(&tile.path()), Some(tile));
        let bundle = Bundle { index, width };
        prop_assert_eq!(Bundle::parse_path(&bundle.path()), Some(bundle));
    }

    #[test]
    fn random_paths_never_panic(path in "tile/(entries|[0-9]{1,3})(/x?[0-9]{1,3}){0,9}(\\.p/[0-9]{1,6})?|\\PC{0,20}") {
        if let Some(tile) = Tile::parse_path(&path) {
            prop_assert_eq!(tile.path(), &path[..]);
        }
        if let Some(bundle) = Bundle::parse_path(&path) {
            prop_assert_eq!(bundle.path(), &path[..]);
        }
    }

    #[test]
    fn random_bundles_never_panic(bytes: Vec<u8>, width in 0_u16..300) {
        if let Ok(entries) = decode_bundle(&bytes, width) {
            prop_assert_eq!(encode_bundle(&entries).unwrap(), bytes);
        }
    }

    #[test]
    fn a_bundle_is_read_back(entries: Vec<Vec<u8>>) {
        let bundle = encode_bundle(&entries).unwrap();
        prop_assert_eq!(decode_bundle(&bundle, entries.len() as u16).unwrap(), entries);
    }
}
