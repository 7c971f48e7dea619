//! Reading objects by link: all that the side which answers requests may do with a storage.

use std::sync::Arc;
use std::time::Duration;

use crate::effects::{
    DownloadLink, DownloadSecret, ObjectKey, ObjectStorage, ObjectStorageError, RefusedDownload, StoredObject,
};
use crate::time::Clock;

/// Makes links to objects, and opens objects by links. Puts and removes nothing, whoever holds it.
#[derive(Clone)]
pub struct Downloads {
    storage: Arc<dyn ObjectStorage>,
    /// What checks links; `None` where the storage does that itself.
    gate: Option<(DownloadSecret, Arc<dyn Clock>)>,
}

/// An object is not given out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The link does not allow it.
    #[error(transparent)]
    Refused(#[from] RefusedDownload),
    /// The link is good, but the object is not there any more.
    #[error("the object is not there any more")]
    Gone,
    /// The storage did not answer.
    #[error(transparent)]
    Storage(#[from] ObjectStorageError),
}

impl Downloads {
    /// Objects of `storage`, whose links are signed with `secret`.
    pub fn new(storage: Arc<dyn ObjectStorage>, secret: DownloadSecret, clock: Arc<dyn Clock>) -> Self {
        Self {
            storage,
            gate: Some((secret, clock)),
        }
    }

    /// Objects of a storage with a server of its own, which its links lead to: no link leads here, and [`open`](Self::open)
    /// refuses each.
    pub fn elsewhere(storage: Arc<dyn ObjectStorage>) -> Self {
        Self { storage, gate: None }
    }

    /// A link to an object, as [`ObjectStorage::download_link`] makes it.
    ///
    /// # Errors
    /// Those of the storage.
    pub async fn link(&self, key: &ObjectKey, valid_for: Duration) -> Result<DownloadLink, ObjectStorageError> {
        self.storage.download_link(key, valid_for).await
    }

    /// Opens the object a link leads to: `key`, `expires_at` in seconds since 1970 and `signature` are what the link says. The
    /// storage is asked only when the link is good, so that nobody learns from it what there is.
    ///
    /// # Errors
    /// [`DownloadError`]; text that is no key was never signed.
    pub async fn open(
        &self,
        key: &str,
        expires_at: i64,
        signature: &str,
    ) -> Result<(ObjectKey, StoredObject), DownloadError> {
        let key: ObjectKey = key.parse().map_err(|_| RefusedDownload::Forged)?;
        let (secret, clock) = self.gate.as_ref().ok_or(RefusedDownload::Forged)?;
        secret.check(&key, expires_at, signature, clock.now())?;
        let object = self.storage.get(&key).await?.ok_or(DownloadError::Gone)?;
        Ok((key, object))
    }
}
