//! Files that may hold secrets.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

/// Far more than any configuration has; a wrong path must not fill the memory.
const LONGEST: u64 = 1024 * 1024;

/// The text of a file.
pub(crate) struct PrivateFile {
    pub(crate) text: String,
    /// Every user of the machine may read it.
    pub(crate) is_world_readable: bool,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    #[error("the file does not exist")]
    Missing,
    #[error("the file cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    #[error("the path is not a file")]
    NotAFile,
    #[error("the file is longer than 1 MiB")]
    TooLong,
    #[error("the file is not UTF-8")]
    NotText,
}

pub(crate) fn read(path: &Path) -> Result<PrivateFile, PrivateFileError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => PrivateFileError::Missing,
        kind => PrivateFileError::Unreadable(kind),
    };
    // A pipe would block the open for ever, so the kind is looked at first.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(PrivateFileError::NotAFile);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(failed)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(PrivateFileError::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| PrivateFileError::NotText)?;
    Ok(PrivateFile {
        text,
        is_world_readable: is_world_readable(&metadata),
    })
}

#[cfg(unix)]
fn is_world_readable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
fn is_world_readable(_: &std::fs::Metadata) -> bool {
    false
}
