//! The lock file: keeps a second process out, and tells whether the last one stopped cleanly.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::open_error::OpenError;

const RUNNING: &[u8] = b"running\n";
const STOPPED: &[u8] = b"stopped\n";

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
        let mut file = owner_only().open(&path).map_err(inaccessible)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: database.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(inaccessible(source)),
        }
        let mut last = Vec::new();
        file.read_to_end(&mut last).map_err(inaccessible)?;
        let mut lock = Self { file };
        lock.write(RUNNING).map_err(inaccessible)?;
        Ok((lock, last == STOPPED))
    }

    /// Notes that this process stopped cleanly.
    pub(crate) fn note_stopped(&mut self) -> std::io::Result<()> {
        self.write(STOPPED)
    }

    fn write(&mut self, state: &[u8]) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(state)?;
        self.file.sync_all()
    }
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
