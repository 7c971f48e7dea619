//! A bucket of the test's own.

use std::sync::Arc;

use aftercommit_domain::effects::ObjectStorage;
use aftercommit_domain::time::{Clock as _, Timestamp};
use aftercommit_platform_storage_object::{S3Bucket, S3ObjectStorage};
use aftercommit_testkit::conformance::ObjectStorageProvider;
use aftercommit_testkit::s3_server::S3Server;
use aftercommit_testkit::{TestServices, test_services};

/// An empty bucket, of which only what is below a prefix is used.
pub(crate) struct Bucket {
    pub(crate) options: S3Bucket,
    pub(crate) services: TestServices,
}

impl Bucket {
    pub(crate) fn open(&self) -> S3ObjectStorage {
        S3ObjectStorage::new(&self.options, self.services.clock_port()).unwrap()
    }
}

impl ObjectStorageProvider for Bucket {
    async fn start() -> Self {
        let server = S3Server::shared().await;
        Self {
            options: S3Bucket {
                name: server.bucket().await,
                prefix: "some/where".into(),
                region: "eu-central-1".into(),
                endpoint: Some(server.url().parse().unwrap()),
                access_key_id: "test".into(),
                secret_access_key: "test-secret".to_owned().into(),
                session_token: None,
            },
            services: test_services(),
        }
    }

    fn storage(&self) -> Arc<dyn ObjectStorage> {
        Arc::new(self.open())
    }

    fn now(&self) -> Timestamp {
        self.services.clock.now()
    }
}
