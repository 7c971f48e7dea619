//! Writing e-mails into a folder, for development and trials.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_domain::effects::{Email, EmailError, EmailSender, IdempotencyKey};
use aftercommit_domain::time::Clock;
use async_trait::async_trait;

use crate::mail_from::MailFrom;
use crate::message;

const DEADLINE: Duration = Duration::from_secs(20);

/// Writes each e-mail to `<idempotency key>.eml` in a folder, readable by its owner alone.
///
/// `Ok` means that the file is there under its name, whole. A repeated send replaces it: the same key, the same file.
#[derive(Clone)]
pub struct FileEmailSender {
    folder: Arc<Path>,
    from: MailFrom,
    clock: Arc<dyn Clock>,
    drafts: Arc<AtomicU64>,
}

/// The folder of e-mails cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder {path} cannot be made for e-mails: {source}")]
pub struct MailFolderError {
    /// The folder.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

impl FileEmailSender {
    /// A sender that writes into `folder`, which is made with mode 0700 when it is missing. Blocks on the disk, so it
    /// belongs into the start of a process.
    ///
    /// # Errors
    /// The folder cannot be made, or the path is something else.
    pub fn open(folder: impl Into<PathBuf>, from: MailFrom, clock: Arc<dyn Clock>) -> Result<Self, MailFolderError> {
        let path = folder.into();
        make_folder(&path).map_err(|source| MailFolderError {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            folder: path.into(),
            from,
            clock,
            drafts: Arc::default(),
        })
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

#[async_trait]
impl EmailSender for FileEmailSender {
    async fn send(&self, email: Email, key: &IdempotencyKey) -> Result<(), EmailError> {
        let message = message::build(&self.from, &email, key, self.clock.now())?;
        let name = message::name(key)?;
        let folder = Arc::clone(&self.folder);
        // Two sends of one key at once must not write into one draft.
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let draft = folder.join(format!(".{name}.{}-{number}.tmp", std::process::id()));
        let writing = tokio::task::spawn_blocking(move || {
            let written = write(&folder, &draft, &folder.join(format!("{name}.eml")), &message.bytes);
            if written.is_err() {
                // The first error is the one that counts.
                let _removed = fs::remove_file(&draft);
            }
            written
        });
        match tokio::time::timeout(DEADLINE, writing).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(unavailable(&format!(
                "the e-mail cannot be written to its folder: {error}"
            ))),
            Ok(Err(_)) => Err(unavailable("the writing of the e-mail was cut off")),
            Err(_) => Err(unavailable("the e-mail was not written within 20 s")),
        }
    }
}

fn write(folder: &Path, draft: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // A draft of this name can only be one that a crash left behind.
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn make_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn unavailable(reason: &str) -> EmailError {
    EmailError::Unavailable {
        reason: reason.to_owned(),
    }
}
