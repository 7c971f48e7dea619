//! The object storage in memory keeps every sentence of the port's contract.

use std::sync::Arc;

use aftercommit_domain::effects::ObjectStorage;
use aftercommit_domain::time::{Clock, Timestamp};
use aftercommit_testkit::conformance::ObjectStorageProvider;
use aftercommit_testkit::{InMemoryObjectStorage, ManualClock};

struct Memory {
    clock: ManualClock,
    storage: InMemoryObjectStorage,
}

impl ObjectStorageProvider for Memory {
    async fn start() -> Self {
        let clock = ManualClock::default();
        let storage = InMemoryObjectStorage::new(Arc::new(clock.clone()));
        Self { clock, storage }
    }

    fn storage(&self) -> Arc<dyn ObjectStorage> {
        Arc::new(self.storage.clone())
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

aftercommit_testkit::object_storage_conformance!(Memory);

#[test]
fn every_scenario_that_is_written_is_in_the_suite() {
    let mut written: Vec<&str> = include_str!("../src/conformance/object_storage.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn "))
        .filter_map(|line| line.split_once("<P: ObjectStorageProvider>("))
        .map(|(name, _)| name)
        .collect();
    written.sort_unstable();
    let mut run = object_storage::NAMES.to_vec();
    run.sort_unstable();
    assert_eq!(written, run);
}
