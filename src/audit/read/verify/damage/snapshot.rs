//! A copy of all files in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The bytes of each file, by its path in the folder.
#[derive(Clone, Debug)]
pub(super) struct Snapshot(BTreeMap<String, Vec<u8>>);

impl Snapshot {
    pub(super) fn of(directory: &Path) -> Self {
        let mut files = BTreeMap::new();
        read(directory, "", &mut files);
        Self(files)
    }

    /// Restores the folder to exactly these files.
    pub(super) fn restore(&self, directory: &Path) {
        fs::remove_dir_all(directory).unwrap();
        fs::create_dir(directory).unwrap();
        for (path, bytes) in &self.0 {
            put(directory, path, bytes);
        }
    }

    pub(super) fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// The published files: checkpoint, tiles and bundles.
    pub(super) fn published(&self) -> Vec<&str> {
        let paths = self.0.keys().map(String::as_str);
        let of_the_log = |path: &&str| path.starts_with("tile/") || *path == "checkpoint";
        paths.filter(of_the_log).collect()
    }
}

/// Writes a file and its parent folders.
pub(super) fn put(directory: &Path, path: &str, bytes: &[u8]) {
    let path = directory.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for item in fs::read_dir(folder).unwrap() {
        let item = item.unwrap();
        let name = item.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if item.file_type().unwrap().is_dir() {
            read(&item.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, fs::read(item.path()).unwrap());
        }
    }
}
