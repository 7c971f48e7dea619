//! The secret of download links, in a file that its owner alone can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use aftercommit_domain::effects::DownloadSecret;
use aftercommit_domain::randomness::Randomness;

/// How many random bytes a secret has.
const LENGTH: usize = 32;
/// The longest file that is read as a secret.
const MAX_LENGTH: u64 = 1_024;

/// Reads the secret, or makes it. Processes that start at once end up with the same one.
pub(crate) fn load_or_create(path: &Path, randomness: &dyn Randomness) -> io::Result<DownloadSecret> {
    if let Some(secret) = read(path)? {
        return Ok(secret);
    }
    create(path, randomness)?;
    read(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn read(path: &Path) -> io::Result<Option<DownloadSecret>> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let refused = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return refused("it is no file with a secret; move it away and a new one is made");
    }
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        return refused("other users can reach it; chmod 600 closes it");
    }
    match DownloadSecret::new(fs::read(path)?) {
        Ok(secret) => Ok(Some(secret)),
        Err(_) => refused("it is too short for a secret; move it away and a new one is made"),
    }
}

/// Makes the file, unless another process was first.
fn create(path: &Path, randomness: &dyn Randomness) -> io::Result<()> {
    let mut secret = [0; LENGTH];
    randomness.fill(&mut secret);
    let mut suffix = [0; 8];
    randomness.fill(&mut suffix);
    let draft = path.with_extension(format!("{:x}.tmp", u64::from_le_bytes(suffix)));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&draft)
        .and_then(|mut file| file.write_all(&secret).and_then(|()| file.sync_all()))
        // A link, unlike a renaming, fails where a file is already.
        .and_then(|()| fs::hard_link(&draft, path));
    // When the writing failed there may be no draft; the first error is the one that counts.
    let _removed = fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
