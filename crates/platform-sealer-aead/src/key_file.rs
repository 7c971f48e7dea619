//! The file a process keeps its own sealing key in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use aftercommit_domain::randomness::Randomness;
use zeroize::Zeroizing;

use crate::sealing_keys::{InvalidSealingKeys, KEY_LENGTH, SealingKeys, encode};

/// Far more than the most keys need; a wrong path must not fill the memory.
const MAX_FILE_LENGTH: u64 = 64 * 1024;

/// A key file was neither read nor made. Messages name the path and never the content.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The path exists and is no file.
    #[error("the sealing key file {path} is not a file")]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Other users of the machine may read or change it.
    #[error("the sealing key file {path} has mode {mode:04o}, so other users can reach it; run `chmod 600` on it")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is empty: perhaps a copy that was cut off.
    #[error(
        "the sealing key file {path} is empty; restore it from a backup, because without its key nothing it sealed opens"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else than keys.
    #[error("the sealing key file {path} holds no keys; restore it from a backup ({source})")]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong with which key.
        source: InvalidSealingKeys,
    },
    /// It is not UTF-8, or longer than any set of keys.
    #[error("the sealing key file {path} holds no text of keys; restore it from a backup")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("the sealing key file {path} cannot be {operation}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `read` or `created`.
        operation: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl SealingKeys {
    /// Reads the keys in the file at `path`, or makes a file with one new key when there is none.
    ///
    /// `Ok` means that the file is on disk under that name with mode 0600. It appears there whole or not at all, and an
    /// existing file is never replaced: of several processes that start at once, all end up with the same key. The
    /// folder must exist. Blocks on the disk, so it belongs into the start of a process.
    ///
    /// # Errors
    /// The file is exposed to other users, empty, garbled or unreadable, or cannot be made.
    pub fn load_or_create(path: &Path, randomness: &dyn Randomness) -> Result<Self, KeyFileError> {
        if let Some(keys) = read(path)? {
            return Ok(keys);
        }
        create(path, randomness).map_err(|source| KeyFileError::Io {
            path: path.to_owned(),
            operation: "created",
            source,
        })?;
        Self::load(path)
    }

    /// Reads the keys in the file at `path`, which must exist.
    ///
    /// # Errors
    /// The file is missing, exposed to other users, empty, garbled or unreadable.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        read(path)?.ok_or_else(|| KeyFileError::Io {
            path: path.to_owned(),
            operation: "read",
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

/// `None` when there is no file.
fn read(path: &Path) -> Result<Option<SealingKeys>, KeyFileError> {
    let failed = |source| KeyFileError::Io {
        path: path.to_owned(),
        operation: "read",
        source,
    };
    // Opening a pipe would wait for ever, so the kind is looked at first.
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(KeyFileError::NotAFile { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check_mode(path, &metadata)?;
    // Room for everything from the start: a vector that grows leaves copies behind.
    let length = usize::try_from(metadata.len().min(MAX_FILE_LENGTH)).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length + 1));
    file.take(MAX_FILE_LENGTH + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_LENGTH {
        return Err(KeyFileError::NotText { path: path.to_owned() });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| KeyFileError::NotText { path: path.to_owned() })?;
    if text.trim().is_empty() {
        return Err(KeyFileError::Empty { path: path.to_owned() });
    }
    SealingKeys::parse(text)
        .map(Some)
        .map_err(|source| KeyFileError::Garbled {
            path: path.to_owned(),
            source,
        })
}

/// Makes the file, unless another process was first.
fn create(path: &Path, randomness: &dyn Randomness) -> io::Result<()> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    randomness.fill(key.as_mut_slice());
    // A key of its own id: when a file was lost and made anew, what the lost key sealed is reported as such.
    let id = format!("k{}", random_hex(randomness));
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let draft = folder.join(format!(".{}.{}", name.display(), random_hex(randomness)));
    let placed = write_draft(&draft, encode(&id, &key).as_bytes()).and_then(|()| place(&draft, path));
    // When the writing failed there may be no draft; the first error is the one that counts.
    let removed = fs::remove_file(&draft);
    placed?;
    removed?;
    sync_folder(folder)
}

fn write_draft(draft: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Gives the draft its name. A link rather than a rename: a rename would replace the key of a faster process.
fn place(draft: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Without this, a crash of the machine could take back the name of a file whose key already sealed something.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KeyFileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    let reaches_others = mode & 0o077;
    if reaches_others == 0 {
        Ok(())
    } else {
        Err(KeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &fs::Metadata) -> Result<(), KeyFileError> {
    Ok(())
}

fn random_hex(randomness: &dyn Randomness) -> String {
    let mut bytes = [0; 8];
    randomness.fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;
    use crate::test_randomness::CountingRandomness;

    fn write(path: &Path, content: &[u8], mode: u32) {
        fs::write(path, content).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone_and_read_back_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let made = SealingKeys::load_or_create(&path, &CountingRandomness::default()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(entries(folder.path()), 1, "no draft may stay behind");
        let again = SealingKeys::load_or_create(&path, &CountingRandomness::default()).unwrap();
        assert_eq!(again.first().bytes, made.first().bytes);
        assert_eq!(again.first().id, made.first().id);
    }

    #[test]
    fn processes_that_start_at_once_end_up_with_the_same_key() {
        /// Every thread has its own bytes.
        struct Own(u64, AtomicU64);
        impl Randomness for Own {
            fn fill(&self, bytes: &mut [u8]) {
                let count = self.1.fetch_add(1, Ordering::Relaxed);
                let seed = (self.0 << 32 | count).to_le_bytes();
                for (byte, source) in bytes.iter_mut().zip(seed.iter().cycle()) {
                    *byte = *source;
                }
            }
        }

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let start = Barrier::new(8);
        let ids: Vec<String> = thread::scope(|scope| {
            let threads: Vec<_> = (1..=8)
                .map(|n| {
                    let (path, start) = (&path, &start);
                    scope.spawn(move || {
                        start.wait();
                        let keys = SealingKeys::load_or_create(path, &Own(n, AtomicU64::new(0))).unwrap();
                        keys.first().id.clone()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(entries(folder.path()), 1);
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        // GIVEN a file that another process made after this one had found none
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        write(&path, encode("first", &[1; 32]).as_bytes(), 0o600);
        // WHEN this process goes on to make its own
        create(&path, &CountingRandomness::default()).unwrap();
        // THEN the first one stays
        let keys = SealingKeys::load(&path).unwrap();
        assert_eq!(keys.ids().collect::<Vec<_>>(), ["first"]);
        assert_eq!(entries(folder.path()), 1);
    }

    #[test]
    fn a_file_other_users_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        for mode in [0o644, 0o640, 0o604, 0o660] {
            write(&path, encode("k", &[1; 32]).as_bytes(), mode);
            let error = SealingKeys::load_or_create(&path, &CountingRandomness::default()).unwrap_err();
            assert!(
                matches!(error, KeyFileError::Exposed { mode: seen, .. } if seen == mode),
                "{error}"
            );
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn an_empty_or_garbled_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        let long = vec![b'x'; 70_000];
        for content in [b"".as_slice(), b" \n", b"s3cr3t", b"k:s3cr3t", b"\xff\xfe", &long] {
            write(&path, content, 0o600);
            let error = SealingKeys::load_or_create(&path, &CountingRandomness::default()).unwrap_err();
            let fits = match &error {
                KeyFileError::Empty { .. } => content.trim_ascii().is_empty(),
                KeyFileError::Garbled { .. } => content.ends_with(b"s3cr3t"),
                KeyFileError::NotText { .. } => content.first().is_some_and(|byte| [0xff, b'x'].contains(byte)),
                KeyFileError::NotAFile { .. } | KeyFileError::Exposed { .. } | KeyFileError::Io { .. } => false,
            };
            assert!(fits, "{error}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_path_that_is_no_file_and_a_folder_that_does_not_exist_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let randomness = CountingRandomness::default();
        assert!(matches!(
            SealingKeys::load_or_create(folder.path(), &randomness),
            Err(KeyFileError::NotAFile { .. })
        ));
        assert!(matches!(
            SealingKeys::load_or_create(&folder.path().join("none/sealing.key"), &randomness),
            Err(KeyFileError::Io {
                operation: "created",
                ..
            })
        ));
        assert!(matches!(
            SealingKeys::load(&folder.path().join("sealing.key")),
            Err(KeyFileError::Io { operation: "read", .. })
        ));
    }
}
