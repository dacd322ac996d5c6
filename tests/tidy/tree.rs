//! The files of the source tree, read once.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// A text file; its path is relative to the root.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: String,
    pub(super) text: String,
}

/// Every text file that is tracked or new; without git, every file outside the build folder.
pub(super) fn tracked() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut paths = from_git().unwrap_or_else(|| {
            let mut paths = Vec::new();
            walk("", &mut paths);
            paths
        });
        paths.sort();
        let files: Vec<File> = paths
            .into_iter()
            .filter_map(|path| {
                // Skips a file that is not text or was just deleted.
                let text = std::fs::read_to_string(root().join(&path)).ok()?;
                Some(File { path, text })
            })
            .collect();
        assert!(
            files.iter().any(|file| file.path == "src/lib.rs"),
            "no tree found"
        );
        files
    })
}

/// All Rust files.
pub(super) fn rust() -> Vec<&'static File> {
    let files = tracked().iter();
    files.filter(|file| file.path.ends_with(".rs")).collect()
}

/// All Rust files of the program.
pub(super) fn sources() -> Vec<&'static File> {
    let files = rust().into_iter();
    files.filter(|file| file.path.starts_with("src/")).collect()
}

/// The text of a required file.
pub(super) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Whether the line contains only a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn from_git() -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ])
        .current_dir(root())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let paths: Vec<String> = text
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    (output.status.success() && !paths.is_empty()).then_some(paths)
}

fn walk(folder: &str, paths: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name.clone(),
            _ => format!("{folder}/{name}"),
        };
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_file() {
            paths.push(path);
        } else if kind.is_dir()
            && !["target", ".git", ".venv", "node_modules"].contains(&name.as_str())
        {
            walk(&path, paths);
        }
    }
}
