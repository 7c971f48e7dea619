//! The files of this workspace.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is text.
pub struct File {
    /// Its path from the root, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// The folders it is in, outermost first.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.path.rsplit_once('/').map_or("", |(folders, _)| folders).split('/')
    }

    /// Whether it is a test rather than what is tested.
    pub fn is_test(&self) -> bool {
        self.name() == "tests.rs" || self.folders().any(|folder| folder == "tests")
    }
}

/// The root of this workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this package is two folders below the root")
        .to_owned()
}

/// Every text file below `folder` (from the root; empty for all), by path. Without what is built and what is hidden,
/// except `.ci` and `.cargo`.
pub fn files(folder: &str) -> Vec<File> {
    let mut files = Vec::new();
    read(&root().join(folder), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Every Rust file below `folder`.
pub fn rust_files(folder: &str) -> Vec<File> {
    let mut files = files(folder);
    files.retain(|file| {
        Path::new(&file.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    });
    files
}

/// The lines that are not comments, with their numbers from 1.
pub fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .zip(1..)
        .map(|(line, number)| (number, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn read(folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            let skipped = matches!(name.as_str(), "target" | "node_modules")
                || name.starts_with('.') && !matches!(name.as_str(), ".ci" | ".cargo");
            if !skipped {
                read(&path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path
                .strip_prefix(root())
                .expect("below the root")
                .to_string_lossy()
                .replace('\\', "/");
            files.push(File { path, text });
        }
    }
}
