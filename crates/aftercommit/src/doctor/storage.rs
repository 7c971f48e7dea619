//! Trying the object storage.

use std::sync::Arc;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::{ObjectKey, ObjectStorage, ObjectStorageError, PartNumber};
use aftercommit_domain::randomness::Randomness as _;
use aftercommit_platform_config::Settings;
use aftercommit_runtime::system::{SystemClock, SystemRandomness};

use super::{Finding, FindingState};
use crate::providers::storage;

const WHAT: &str = "object storage";
/// What is put and read again.
const CONTENT: &[u8] = b"aftercommit doctor";

/// Puts an object of its own, reads it and removes it; and says when other processes look elsewhere.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let place = storage::place(settings);
    let shared = storage::not_shared(settings).map(|warning| Finding::new(WHAT, FindingState::Warning, warning, ""));
    if storage::folder(settings).is_some_and(|folder| !folder.exists()) {
        let detail = format!("objects become files in {place}, which is made when it is needed");
        return [Finding::new(WHAT, FindingState::Well, detail, "")]
            .into_iter()
            .chain(shared)
            .collect();
    }
    let tried = match storage::open(settings, "http://localhost", Arc::new(SystemClock), &SystemRandomness) {
        Ok(opened) => try_out(&*opened.storage).await.map_err(|error| {
            let advice = advice_for(&error);
            (error.to_string(), advice)
        }),
        Err(error) => Err((
            error.to_string(),
            "see that STORAGE_URL names a folder this user may write in",
        )),
    };
    let tried = match tried {
        Ok(()) => Finding::new(WHAT, FindingState::Well, format!("{place} keeps and gives objects"), ""),
        Err((error, advice)) => Finding::new(WHAT, FindingState::Failed, format!("{place}: {error}"), advice),
    };
    [tried].into_iter().chain(shared).collect()
}

async fn try_out(storage: &dyn ObjectStorage) -> Result<(), ObjectStorageError> {
    // A name of its own, so that two who look at once do not meet.
    let mut number = [0; 8];
    SystemRandomness.fill(&mut number);
    let name = format!("{:016x}.txt", u64::from_le_bytes(number));
    let key = ObjectKey::new(&Tenant::System, "doctor", &name).map_err(|invalid| ObjectStorageError::Refused {
        reason: invalid.to_string(),
    })?;
    let tried = put_and_read(storage, &key).await;
    // Also what was put only in part; the first error is the one that counts.
    let removed = match storage.abort(&key).await {
        Ok(()) => storage.delete(&key).await,
        Err(error) => Err(error),
    };
    tried.and(removed)
}

async fn put_and_read(storage: &dyn ObjectStorage, key: &ObjectKey) -> Result<(), ObjectStorageError> {
    storage.put_part(key, PartNumber::FIRST, CONTENT.to_vec()).await?;
    storage.complete(key, 1).await?;
    let read = match storage.get(key).await? {
        Some(object) => object.read_all(CONTENT.len()).await?,
        None => Vec::new(),
    };
    if read == CONTENT {
        Ok(())
    } else {
        Err(ObjectStorageError::Refused {
            reason: "what was just put there reads otherwise".into(),
        })
    }
}

const fn advice_for(error: &ObjectStorageError) -> &'static str {
    match error {
        ObjectStorageError::Unavailable { .. } => {
            "see that the server runs and that AWS_ENDPOINT_URL or AWS_REGION leads to it; of a folder, that it has room and \
             is mounted"
        }
        ObjectStorageError::Unauthenticated { .. } => {
            "see that AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN belong together and are still good"
        }
        ObjectStorageError::Refused { .. }
        | ObjectStorageError::PartMissing { .. }
        | ObjectStorageError::PartTooLarge { .. }
        | ObjectStorageError::NoSuchPart { .. }
        | ObjectStorageError::LargerThan { .. }
        | ObjectStorageError::LinkTooLong => {
            "see that the bucket is there, in AWS_REGION, and that its keys may list it, and get, put and delete its objects; \
             of a folder, that this user may write in it"
        }
    }
}
