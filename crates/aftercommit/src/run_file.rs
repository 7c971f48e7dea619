//! `run.json`: how the command line finds the running process of a data directory.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// How to reach the running process. Readable by its owner only, removed when the process stops.
#[derive(Debug)]
pub struct RunFile {
    /// `http://127.0.0.1:9090`.
    pub url: String,
    /// What `/admin/v1` asks for.
    pub token: SecretString,
    /// The process.
    pub pid: u32,
}

/// The file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunFileError {
    /// The file system.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its content.
    #[error("{path} is not a run file: {reason}; remove it if no process runs")]
    Malformed {
        /// Which file.
        path: String,
        /// Why.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Content {
    url: String,
    token: String,
    pid: u32,
}

impl RunFile {
    /// Reads it. `Ok(None)` when there is none.
    pub fn read(path: &Path) -> Result<Option<Self>, RunFileError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(RunFileError::Io {
                    path: path.display().to_string(),
                    source,
                });
            }
        };
        let content: Content = serde_json::from_str(&text).map_err(|error| RunFileError::Malformed {
            path: path.display().to_string(),
            reason: format!("line {}, column {}", error.line(), error.column()),
        })?;
        Ok(Some(Self {
            url: content.url,
            token: content.token.into(),
            pid: content.pid,
        }))
    }

    /// Writes it, replacing one of a process that is gone.
    pub fn write(&self, path: &Path) -> Result<(), RunFileError> {
        let io = |source| RunFileError::Io {
            path: path.display().to_string(),
            source,
        };
        let content = Content {
            url: self.url.clone(),
            token: self.token.expose_secret().to_owned(),
            pid: self.pid,
        };
        let text = serde_json::to_string(&content).unwrap_or_default();
        let new = path.with_extension("json.new");
        let mut file = private_file(&new).map_err(io)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        fs::rename(&new, path).map_err(io)
    }

    /// Removes it; one that is gone already is fine.
    pub fn remove(path: &Path) {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "the run file was not removed");
        }
    }
}

/// Removes a run file when it is dropped, so that no way out of a run leaves it behind.
pub(crate) struct RemovedAtEnd(pub(crate) PathBuf);

impl Drop for RemovedAtEnd {
    fn drop(&mut self) {
        RunFile::remove(&self.0);
    }
}

fn private_file(path: &Path) -> std::io::Result<fs::File> {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_file_can_be_read_by_its_owner_only_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        RunFile {
            url: "http://127.0.0.1:1".into(),
            token: "secret".into(),
            pid: 7,
        }
        .write(&path)
        .unwrap();
        let back = RunFile::read(&path).unwrap().unwrap();
        assert_eq!(
            (back.url.as_str(), back.token.expose_secret(), back.pid),
            ("http://127.0.0.1:1", "secret", 7)
        );
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777,
            0o600
        );
        RunFile::remove(&path);
        assert!(RunFile::read(&path).unwrap().is_none());
    }
}
