//! An object storage that keeps everything in memory and fails as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aftercommit_domain::effects::{
    DownloadLink, DownloadSecret, LONGEST_DOWNLOAD_LINK, MAX_PART_BYTES, MAX_PARTS, ObjectContent, ObjectKey,
    ObjectStorage, ObjectStorageError, PartNumber, StoredObject,
};
use aftercommit_domain::time::{Clock, after};
use async_trait::async_trait;
use url::Url;

/// Keeps objects and parts in memory, and fails as it is told: each call that changes something takes the next
/// [`StorageStep`]; without one it is done. Clones share everything, like processes that share a storage.
///
/// ```
/// # use aftercommit_testkit::{InMemoryObjectStorage, StorageStep, test_services};
/// # use aftercommit_domain::effects::ObjectStorageError;
/// let storage = InMemoryObjectStorage::new(test_services().clock_port());
/// storage.script([StorageStep::Reject(ObjectStorageError::Unavailable { reason: "503".into() }), StorageStep::Accept]);
/// assert!(storage.objects().is_empty());
/// ```
#[derive(Clone)]
pub struct InMemoryObjectStorage {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<StorageStep>,
    parts: BTreeMap<ObjectKey, BTreeMap<u32, Vec<u8>>>,
    objects: BTreeMap<ObjectKey, Vec<u8>>,
    part_puts: usize,
}

/// What one call that changes something does.
#[derive(Debug, Clone)]
pub enum StorageStep {
    /// It is done.
    Accept,
    /// It fails with this error; nothing was done.
    Reject(ObjectStorageError),
    /// It is done, but the caller hears that the storage is unavailable: the reply was lost.
    AcceptThenLoseReply,
}

impl InMemoryObjectStorage {
    /// An empty storage; links end by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Arc::default(),
        }
    }

    /// Adds what the next calls do that change something, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = StorageStep>) {
        self.lock().script.extend(steps);
    }

    /// The keys of all objects.
    pub fn objects(&self) -> Vec<ObjectKey> {
        self.lock().objects.keys().cloned().collect()
    }

    /// What is in an object.
    pub fn content(&self, key: &ObjectKey) -> Option<Vec<u8>> {
        self.lock().objects.get(key).cloned()
    }

    /// The keys that have parts of an unfinished upload.
    pub fn unfinished(&self) -> Vec<ObjectKey> {
        self.lock().parts.keys().cloned().collect()
    }

    /// How often a part was put, refused ones included: what a repeated step cost.
    pub fn part_puts(&self) -> usize {
        self.lock().part_puts
    }

    /// The secret its links are signed with.
    ///
    /// # Panics
    /// Never: it is long enough.
    pub fn secret() -> DownloadSecret {
        #[expect(clippy::expect_used, reason = "the length is written here")]
        DownloadSecret::new(vec![42; 32]).expect("32 bytes are enough")
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, ObjectStorageError>,
    ) -> Result<T, ObjectStorageError> {
        let mut state = self.lock();
        match state.script.pop_front().unwrap_or(StorageStep::Accept) {
            StorageStep::Accept => change(&mut state),
            StorageStep::Reject(error) => Err(error),
            StorageStep::AcceptThenLoseReply => {
                change(&mut state)?;
                Err(ObjectStorageError::Unavailable {
                    reason: "the reply was lost".into(),
                })
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStorage for InMemoryObjectStorage {
    async fn put_part(&self, key: &ObjectKey, number: PartNumber, content: Vec<u8>) -> Result<(), ObjectStorageError> {
        self.lock().part_puts += 1;
        if content.len() > MAX_PART_BYTES {
            return Err(ObjectStorageError::PartTooLarge { bytes: content.len() });
        }
        self.change(|state| {
            state
                .parts
                .entry(key.clone())
                .or_default()
                .insert(number.get(), content);
            Ok(())
        })
    }

    async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError> {
        let state = self.lock();
        let kept = state.parts.get(key);
        let present = |number: &u32| kept.is_some_and(|parts| parts.contains_key(number));
        Ok((1..=MAX_PARTS).take_while(present).last().unwrap_or(0))
    }

    async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        self.change(|state| {
            let kept = state.parts.get(key);
            let mut whole = Vec::new();
            for number in parts.iter().map(|part| part.get()) {
                if let Some(part) = kept.and_then(|parts| parts.get(&number)) {
                    whole.extend_from_slice(part);
                } else if let Some(object) = state.objects.get(key) {
                    whole.clone_from(object);
                    break;
                } else {
                    return Err(ObjectStorageError::PartMissing { number });
                }
            }
            let bytes = whole.len() as u64;
            state.objects.insert(key.clone(), whole);
            state.parts.remove(key);
            Ok(bytes)
        })
    }

    async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.change(|state| {
            state.parts.remove(key);
            Ok(())
        })
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<StoredObject>, ObjectStorageError> {
        Ok(self.content(key).map(|content| StoredObject {
            bytes: content.len() as u64,
            content: Box::new(InMemoryContent { content, at: 0 }),
        }))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.change(|state| {
            state.objects.remove(key);
            Ok(())
        })
    }

    async fn download_link(&self, key: &ObjectKey, valid_for: Duration) -> Result<DownloadLink, ObjectStorageError> {
        if valid_for > LONGEST_DOWNLOAD_LINK {
            return Err(ObjectStorageError::LinkTooLong);
        }
        let expires_at = after(self.clock.now(), valid_for);
        let (end, signature) = (expires_at.timestamp(), Self::secret().sign(key, expires_at.timestamp()));
        let url = format!("https://storage.test/{key}?expires={end}&signature={signature}");
        let url = Url::parse(&url).map_err(|error| ObjectStorageError::Refused {
            reason: error.to_string(),
        })?;
        Ok(DownloadLink { url, expires_at })
    }
}

struct InMemoryContent {
    content: Vec<u8>,
    at: usize,
}

#[async_trait]
impl ObjectContent for InMemoryContent {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ObjectStorageError> {
        let rest = &self.content[self.at..];
        let piece = rest[..rest.len().min(64 * 1024)].to_vec();
        self.at += piece.len();
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Tenant;

    use super::*;
    use crate::fakes::ManualClock;

    #[tokio::test]
    async fn a_rejected_part_is_not_kept_and_one_whose_reply_was_lost_is() {
        let storage = InMemoryObjectStorage::new(Arc::new(ManualClock::default()));
        let key = ObjectKey::new(&Tenant::project(1_i64, 2_i64), "exports", "1.csv").unwrap();
        let away = ObjectStorageError::Unavailable { reason: "503".into() };
        storage.script([StorageStep::Reject(away.clone()), StorageStep::AcceptThenLoseReply]);
        assert_eq!(storage.put_part(&key, PartNumber::FIRST, vec![1]).await, Err(away));
        assert!(storage.unfinished().is_empty());
        assert!(storage.put_part(&key, PartNumber::FIRST, vec![1]).await.is_err());
        assert_eq!((storage.unfinished(), storage.part_puts()), (vec![key.clone()], 2));
        assert_eq!(storage.complete(&key, 1).await, Ok(1));
        assert_eq!((storage.content(&key), storage.objects()), (Some(vec![1]), vec![key]));
    }
}
