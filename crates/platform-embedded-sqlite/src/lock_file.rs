//! The lock file: keeps a second process out, and tells whether the last one stopped cleanly.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::open_error::OpenError;

const RUNNING: &str = "running";
const STOPPED: &str = "stopped";

/// Held while the database is open. The system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
}

impl LockFile {
    /// Takes the lock of `database`. Also answers whether the last process stopped cleanly.
    pub(crate) fn take(database: &Path) -> Result<(Self, bool), OpenError> {
        let path = beside(database, "lock");
        let inaccessible = |source| OpenError::Inaccessible {
            path: path.clone(),
            source,
        };
        let file = owner_only().open(&path).map_err(inaccessible)?;
        let lock = Self { file };
        match lock.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: database.to_owned(),
                    by: lock
                        .read()
                        .unwrap_or_default()
                        .strip_prefix(RUNNING)
                        .map(owner)
                        .unwrap_or_default(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(inaccessible(source)),
        }
        let was_clean = lock.read().map_err(inaccessible)? == STOPPED;
        lock.write(&format!("{RUNNING} {}", std::process::id()))
            .map_err(inaccessible)?;
        Ok((lock, was_clean))
    }

    /// Notes that this process stopped cleanly, and lets the next one in.
    pub(crate) fn release(&self) -> io::Result<()> {
        self.write(STOPPED)?;
        self.file.unlock()
    }

    fn read(&self) -> io::Result<String> {
        let mut text = String::new();
        (&self.file).seek(SeekFrom::Start(0))?;
        (&self.file).take(64).read_to_string(&mut text)?;
        Ok(text)
    }

    fn write(&self, state: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).seek(SeekFrom::Start(0))?;
        (&self.file).write_all(state.as_bytes())?;
        self.file.sync_all()
    }
}

/// Whose lock it is, for a person.
fn owner(pid: &str) -> String {
    format!(" (process{pid})")
}

/// A file beside the database: `<database>.<kind>`.
pub(crate) fn beside(database: &Path, kind: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(kind);
    name.into()
}

/// Opens a file for reading and writing, makes it when it is not there, and lets nobody else read it.
pub(crate) fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}
