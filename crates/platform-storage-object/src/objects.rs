//! Objects and the parts they are made of, in any store of the `object_store` crate.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::{
    MAX_PART_BYTES, MAX_PARTS, ObjectContent, ObjectKey, ObjectStorageError, PartNumber, StoredObject,
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Attributes, Error, ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};

use crate::failure::{found, seen};

/// What every storage does alike.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// How long one call to the store may take; a completion makes one for each part.
    deadline: Duration,
    /// What is kept beside an object's content.
    described: fn(&ObjectKey) -> Attributes,
}

impl Objects {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        deadline: Duration,
        described: fn(&ObjectKey) -> Attributes,
    ) -> Self {
        Self {
            store,
            deadline,
            described,
        }
    }

    pub(crate) async fn put_part(
        &self,
        key: &ObjectKey,
        number: PartNumber,
        content: Vec<u8>,
    ) -> Result<(), ObjectStorageError> {
        if content.len() > MAX_PART_BYTES {
            return Err(ObjectStorageError::PartTooLarge { bytes: content.len() });
        }
        let path = part(key, number.get());
        failpoint!(STORAGE_BEFORE_PART);
        within(self.deadline, self.store.put(&path, PutPayload::from(content))).await?;
        failpoint!(STORAGE_AFTER_PART);
        Ok(())
    }

    pub(crate) async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError> {
        let kept = self.kept(key).await?;
        let in_order = (1..=MAX_PARTS)
            .zip(kept)
            .take_while(|(next, (number, _))| next == number);
        Ok(in_order.map(|(number, _)| number).last().unwrap_or(0))
    }

    pub(crate) async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        let kept = self.kept(key).await?;
        let is_kept = |part: &PartNumber| kept.binary_search_by_key(&part.get(), |(number, _)| *number).is_ok();
        let made = match parts.iter().find(|part| !is_kept(part)) {
            None => self.assemble(key, parts).await,
            Some(missing) => Err(ObjectStorageError::PartMissing { number: missing.get() }),
        };
        let bytes = match made {
            Ok(bytes) => bytes,
            // A part may also go while it is looked for: another process completes the same object, or aborts it.
            Err(missing @ ObjectStorageError::PartMissing { .. }) => self.size(key).await?.ok_or(missing)?,
            Err(error) => return Err(error),
        };
        failpoint!(STORAGE_AFTER_FINISH);
        self.forget(kept).await?;
        failpoint!(STORAGE_AFTER_FORGET);
        Ok(bytes)
    }

    pub(crate) async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        let kept = self.kept(key).await?;
        self.forget(kept).await
    }

    pub(crate) async fn get(&self, key: &ObjectKey) -> Result<Option<StoredObject>, ObjectStorageError> {
        let found = found(within_raw(self.deadline, self.store.get(&object(key))).await?)?;
        Ok(found.map(|result| StoredObject {
            bytes: result.meta.size,
            content: Box::new(Content {
                pieces: result.into_stream().map_ok(Vec::from).boxed(),
                deadline: self.deadline,
            }),
        }))
    }

    pub(crate) async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        found(within_raw(self.deadline, self.store.delete(&object(key))).await?)?;
        Ok(())
    }

    async fn size(&self, key: &ObjectKey) -> Result<Option<u64>, ObjectStorageError> {
        let found = found(within_raw(self.deadline, self.store.head(&object(key))).await?)?;
        Ok(found.map(|meta| meta.size))
    }

    /// Makes the object out of its parts, holding about two of them in memory. It appears when it is whole.
    async fn assemble(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        let path = object(key);
        if parts.len() <= 1 {
            // One call and no upload that could be left behind.
            let content = match parts.first() {
                None => PutPayload::new(),
                Some(only) => self.part(key, only.get()).await?,
            };
            let bytes = content.content_length() as u64;
            within(
                self.deadline,
                self.store.put_opts(&path, content, (self.described)(key).into()),
            )
            .await?;
            return Ok(bytes);
        }
        let upload = within(
            self.deadline,
            self.store.put_multipart_opts(&path, (self.described)(key).into()),
        )
        .await?;
        // Pieces of one size, whatever the parts have: stores ask for a smallest size, some for an equal one.
        let mut upload = WriteMultipart::new_with_chunk_size(upload, MAX_PART_BYTES);
        match self.write_parts(&mut upload, key, parts).await {
            Ok(bytes) => {
                failpoint!(STORAGE_BEFORE_FINISH);
                within(self.deadline, upload.finish()).await?;
                Ok(bytes)
            }
            Err(error) => {
                // The first error is the one that counts; what an abort leaves, the next completion does not see.
                let _aborted = within(self.deadline, upload.abort()).await;
                Err(error)
            }
        }
    }

    async fn write_parts(
        &self,
        upload: &mut WriteMultipart,
        key: &ObjectKey,
        parts: &[PartNumber],
    ) -> Result<u64, ObjectStorageError> {
        let mut bytes = 0;
        for number in parts {
            let content = self.part(key, number.get()).await?;
            within(self.deadline, upload.wait_for_capacity(1)).await?;
            bytes += content.content_length() as u64;
            for piece in content {
                upload.put(piece);
            }
        }
        Ok(bytes)
    }

    async fn part(&self, key: &ObjectKey, number: u32) -> Result<PutPayload, ObjectStorageError> {
        let read = async {
            match self.store.get(&part(key, number)).await {
                Ok(result) => result.bytes().await,
                Err(error) => Err(error),
            }
        };
        let found = found(within_raw(self.deadline, read).await?)?;
        found
            .map(PutPayload::from)
            .ok_or(ObjectStorageError::PartMissing { number })
    }

    /// The parts there are, in the order of their numbers.
    async fn kept(&self, key: &ObjectKey) -> Result<Vec<(u32, Path)>, ObjectStorageError> {
        let prefix = Path::from(format!("parts/{key}"));
        let mut kept: Vec<(u32, Path)> = within(self.deadline, self.store.list(Some(&prefix)).try_collect::<Vec<_>>())
            .await?
            .into_iter()
            .filter_map(|meta| Some((meta.location.filename()?.parse().ok()?, meta.location)))
            .collect();
        kept.sort_unstable();
        Ok(kept)
    }

    async fn forget(&self, kept: Vec<(u32, Path)>) -> Result<(), ObjectStorageError> {
        let paths = stream::iter(kept.into_iter().map(|(_, path)| Ok(path))).boxed();
        let mut deleted = self.store.delete_stream(paths);
        while let Some(result) = within_raw(self.deadline, deleted.next()).await? {
            found(result)?;
        }
        Ok(())
    }
}

struct Content {
    pieces: BoxStream<'static, object_store::Result<Vec<u8>>>,
    deadline: Duration,
}

#[async_trait]
impl ObjectContent for Content {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, ObjectStorageError> {
        while let Some(piece) = within(self.deadline, self.pieces.try_next()).await? {
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}

pub(crate) fn object(key: &ObjectKey) -> Path {
    Path::from(format!("objects/{key}"))
}

fn part(key: &ObjectKey, number: u32) -> Path {
    Path::from(format!("parts/{key}/{number:05}"))
}

pub(crate) async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, ObjectStorageError> {
    within_raw(deadline, call).await?.map_err(|error| seen(&error))
}

async fn within_raw<T>(deadline: Duration, call: impl Future<Output = T>) -> Result<T, ObjectStorageError> {
    tokio::time::timeout(deadline, call)
        .await
        .map_err(|_| ObjectStorageError::Unavailable {
            reason: format!("no answer within {} s", deadline.as_secs_f32()),
        })
}
