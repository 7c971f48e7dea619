//! `export` with two workers that both take themselves for the one that makes the file.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::effects::{
    DownloadLink, ObjectKey, ObjectStorage, ObjectStorageError, PartNumber, StoredObject,
};
use aftercommit_testkit::InMemoryObjectStorage;
use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::export::{Asked, Lost, RECORDS, ingest};

/// A storage that one part takes long to reach.
struct Holds {
    inner: InMemoryObjectStorage,
    /// How many parts go through before it.
    before: AtomicUsize,
    is_held: Notify,
    goes_on: Notify,
}

#[async_trait]
impl ObjectStorage for Holds {
    async fn put_part(&self, key: &ObjectKey, number: PartNumber, content: Vec<u8>) -> Result<(), ObjectStorageError> {
        if self.before.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.is_held.notify_one();
            self.goes_on.notified().await;
        }
        self.inner.put_part(key, number, content).await
    }

    async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError> {
        self.inner.parts(key).await
    }

    async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        self.inner.complete_of(key, parts).await
    }

    async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.inner.abort(key).await
    }

    async fn get(&self, key: &ObjectKey) -> Result<Option<StoredObject>, ObjectStorageError> {
        self.inner.get(key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.inner.delete(key).await
    }

    async fn download_link(&self, key: &ObjectKey, valid_for: Duration) -> Result<DownloadLink, ObjectStorageError> {
        self.inner.download_link(key, valid_for).await
    }
}

/// Of an export whose parts are of other rows after its records came again larger: the first attempt puts `told` parts, is
/// taken for lost with its next one on the way, and puts that and all others when the second has put its own.
async fn made_by_two(told: usize) -> Vec<Value> {
    let mut asked = Asked::new();
    // At first two pages make a part, afterwards one does.
    asked.world.export_part_bytes = 6000;
    let begun = asked.goes_on("begin-export", Value::Null).await;
    assert_eq!(begun, Ok(json!(true)));
    let storage = Arc::new(Holds {
        inner: asked.world.storage.clone(),
        before: AtomicUsize::new(told),
        is_held: Notify::new(),
        goes_on: Notify::new(),
    });
    let (registry, host) = (asked.world.registry_with(storage.clone()), Arc::<Lost>::default());
    let start = json!({"after": null, "parts": 0, "rows": 0});
    let lost = asked.attempt(&registry, "collect-export", start.clone(), 1, None, host.clone());
    let other = async {
        storage.is_held.notified().await;
        ingest(
            &asked.world,
            "records/a/b/d",
            ", \"again\": \"and larger than it was, by all that is written here\"",
        );
        let (registry, cursor) = (asked.world.registry(), host.0.lock().unwrap().clone());
        let other = asked.attempt(&registry, "collect-export", start.clone(), 2, cursor, Arc::default());
        let all = other.await.unwrap();
        storage.goes_on.notify_one();
        all["all"].clone()
    };
    let (lost, cursor) = futures::join!(lost, other);
    assert!(lost.is_ok(), "{lost:?}");
    let file = asked.goes_on("complete-export", cursor).await.unwrap();
    assert_eq!(file["rows"], RECORDS, "{file}");
    assert!(asked.world.storage.unfinished().is_empty(), "no part stays");
    let content = asked.world.storage.content(&asked.world.storage.objects()[0]).unwrap();
    let lines = String::from_utf8(content).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn what_a_lost_worker_puts_late_is_not_in_the_file_that_another_made_although_the_records_changed_between() {
    for told in [0, 1] {
        let lines = made_by_two(told).await;
        let numbers: Vec<_> = lines.iter().map(|line| line["body"]["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..RECORDS as u64).collect::<Vec<_>>(), "after {told} parts");
        let changed = lines.iter().filter(|line| line["body"]["again"].is_string()).count();
        assert_eq!(changed, if told == 0 { RECORDS } else { 20 }, "after {told} parts");
    }
}
