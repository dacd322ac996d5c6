//! Parses a file path; all sections of the config share it.

use crate::strict_toml::{Placed, Table};

/// Reads a path that is not empty and contains no NUL byte.
pub(super) fn path(table: &mut Table<'_>, key: &'static str) -> Option<Placed<String>> {
    table.parsed(
        key,
        "a path, relative to the config file's folder",
        |path| match path.is_empty() || path.contains('\0') {
            true => Err("is not a path".to_owned()),
            false => Ok(path.to_owned()),
        },
    )
}
