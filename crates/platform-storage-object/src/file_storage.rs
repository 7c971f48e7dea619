//! Objects as files of a folder, with download links of our own.

use std::fs::{self, DirBuilder};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::{
    DownloadLink, DownloadSecret, LONGEST_DOWNLOAD_LINK, ObjectKey, ObjectStorage, ObjectStorageError, PartNumber,
    StoredObject,
};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::{Clock, after};
use async_trait::async_trait;
use object_store::Attributes;
use object_store::local::LocalFileSystem;
use url::Url;

use crate::link_secret;
use crate::objects::Objects;

/// The secret's file in the folder: whoever shares the folder shares the links.
const SECRET_FILE: &str = "links.key";
/// How long one call may take: a network file system may hang.
const DEADLINE: Duration = Duration::from_mins(1);

/// Keeps each object in a file of its own. `Ok` means that file and folder are on the disk.
///
/// Processes may share the folder. A process that dies in the middle of a write leaves a draft, which the next completion
/// or abort of the same key removes.
#[derive(Clone)]
pub struct FileObjectStorage {
    folder: Arc<Path>,
    objects: Objects,
    links: Arc<Links>,
}

struct Links {
    secret: DownloadSecret,
    base: Url,
    clock: Arc<dyn Clock>,
}

/// The folder of objects cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder {path} cannot be used for objects: {source}")]
pub struct StorageFolderError {
    /// The folder, or the file in it.
    pub path: PathBuf,
    /// The reason.
    pub source: io::Error,
}

impl FileObjectStorage {
    /// A storage in `folder`, which is made with mode 0700 when it is missing, as is the secret of its links. Links begin
    /// with `downloads`, where the application serves them. Blocks on the disk, so it belongs into the start of a process.
    ///
    /// # Errors
    /// The folder or the secret cannot be made or read.
    pub fn open(
        folder: &Path,
        downloads: Url,
        clock: Arc<dyn Clock>,
        randomness: &dyn Randomness,
    ) -> Result<Self, StorageFolderError> {
        let failed = |path: &Path, source| StorageFolderError {
            path: path.to_owned(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder).map_err(|source| failed(folder, source))?;
        let secret_file = folder.join(SECRET_FILE);
        let secret =
            link_secret::load_or_create(&secret_file, randomness).map_err(|source| failed(&secret_file, source))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| failed(folder, io::Error::other(error)))?
            .with_fsync(true);
        Ok(Self {
            folder: folder.into(),
            objects: Objects::new(Arc::new(store), DEADLINE, |_| Attributes::default()),
            links: Arc::new(Links {
                secret,
                base: downloads,
                clock,
            }),
        })
    }

    /// What links are signed with, for whoever serves them.
    pub fn secret(&self) -> DownloadSecret {
        self.links.secret.clone()
    }

    /// Removes what a process left that died in the middle of a write under this key, and the folder of its parts.
    async fn tidy(&self, key: &ObjectKey) {
        let parts = self.folder.join("parts").join(key.as_str());
        let object = self.folder.join("objects").join(key.as_str());
        // Nothing of it counts for anybody, so what cannot be removed stays.
        let _tidied = tokio::task::spawn_blocking(move || {
            let _removed = fs::remove_dir_all(parts);
            remove_drafts(&object)
        })
        .await;
    }
}

/// Drafts of `object_store` have the name of the file, `#` and a number.
fn remove_drafts(object: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (object.parent(), object.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    let draft = format!("{name}#");
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&draft)) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[async_trait]
impl ObjectStorage for FileObjectStorage {
    async fn put_part(&self, key: &ObjectKey, number: PartNumber, content: Vec<u8>) -> Result<(), ObjectStorageError> {
        self.objects.put_part(key, number, content).await
    }

    async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError> {
        self.objects.parts(key).await
    }

    async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        let bytes = self.objects.complete_of(key, parts).await?;
        self.tidy(key).await;
        Ok(bytes)
    }

    async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.objects.abort(key).await?;
        self.tidy(key).await;
        Ok(())
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<StoredObject>, ObjectStorageError> {
        self.objects.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.objects.delete(key).await
    }

    async fn download_link(&self, key: &ObjectKey, valid_for: Duration) -> Result<DownloadLink, ObjectStorageError> {
        if valid_for > LONGEST_DOWNLOAD_LINK {
            return Err(ObjectStorageError::LinkTooLong);
        }
        let expires_at = after(self.links.clock.now(), valid_for);
        let mut url = self.links.base.clone();
        url.path_segments_mut()
            .map_err(|()| ObjectStorageError::Refused {
                reason: "the address of downloads cannot have a path".into(),
            })?
            .pop_if_empty()
            .extend(key.as_str().split('/'));
        url.query_pairs_mut()
            .append_pair("expires", &expires_at.timestamp().to_string())
            .append_pair("signature", &self.links.secret.sign(key, expires_at.timestamp()));
        Ok(DownloadLink { url, expires_at })
    }
}
