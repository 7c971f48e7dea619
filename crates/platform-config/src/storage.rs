//! `STORAGE_URL`: where files that are too large for a database are kept.

use crate::{
    data_dir::{DataDir, STORAGE_DIR},
    key::{Form, Key, Preset},
    reading::Reading,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::path::{Component, Path, PathBuf};

/// What the URL of a folder begins with.
const FILE: &str = "file://";

/// The object storage that the URL's scheme picks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Storage {
    /// A folder. A relative path starts at the working directory. Defaults to `storage` in the data directory.
    Folder(PathBuf),
}

pub(crate) static KEYS: [Key; 1] = [Key::new(
    "storage_url",
    Form::Described("file://<path of a folder>"),
    Preset::InDataDir {
        prefix: FILE,
        name: STORAGE_DIR,
    },
    "Where files are kept that are too large for the database, such as exports. Processes on several machines share the \
     folder.",
)
.variable("STORAGE_URL")
.secret()];

impl Storage {
    pub(crate) fn read(reading: &mut Reading<'_>, data_dir: &DataDir) -> Self {
        let [key] = &KEYS;
        let given = reading.parsed(key, parse, |path| folder_url(path));
        Self::Folder(given.unwrap_or_else(|| data_dir.storage_dir()))
    }
}

/// The URL that is read as this folder.
fn folder_url(path: &Path) -> String {
    /// What would be read as something else.
    const SPECIAL: AsciiSet = CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'@');
    let path = path.to_string_lossy();
    format!("{FILE}{}", utf8_percent_encode(&path, &SPECIAL))
}

fn parse(text: &str) -> Result<PathBuf, String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("is not a URL".to_owned());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => folder(rest.strip_prefix("//").unwrap_or(rest)),
        "s3" => Err("names a bucket, and this build keeps files in a folder only".to_owned()),
        _ => Err("has a scheme that no provider serves".to_owned()),
    }
}

fn folder(path: &str) -> Result<PathBuf, String> {
    if path.contains(['?', '#']) {
        return Err("has parameters, and a folder has none".to_owned());
    }
    // The URL of a server with the wrong scheme would become a folder that is named after its password.
    if path.split('/').next().is_some_and(|first| first.contains('@')) {
        return Err("names a user or a server, but a folder has neither".to_owned());
    }
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "is not UTF-8".to_owned())?;
    if path.chars().any(char::is_control) {
        return Err("contains a line break or another control character".to_owned());
    }
    if path.trim_matches('/').is_empty() {
        return Err("names no folder".to_owned());
    }
    let path = PathBuf::from(path.as_ref());
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("climbs out of a directory with `..`; give the absolute path".to_owned());
    }
    Ok(path)
}
