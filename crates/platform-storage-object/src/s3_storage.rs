//! Objects in a bucket of S3 or of a server that speaks its protocol, with download links that the bucket checks.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::effects::{
    DownloadLink, LONGEST_DOWNLOAD_LINK, ObjectKey, ObjectStorage, ObjectStorageError, PartNumber, StoredObject,
};
use aftercommit_domain::time::{Clock, after};
use async_trait::async_trait;
use hyper::Method;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::prefix::PrefixStore;
use object_store::signer::Signer as _;
use object_store::{Attribute, Attributes, BackoffConfig, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::http_client::Connector;
use crate::objects::{Objects, object, within};

/// How long the bucket may take for one answer.
const ANSWER: Duration = Duration::from_secs(20);
/// How long one call may take with all its tries.
const CALL: Duration = Duration::from_mins(1);
/// How often a try is repeated that may be: whoever calls tries again too.
const TRIES_AGAIN: usize = 2;

/// Where a bucket is, and who asks.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    /// Its name.
    pub name: String,
    /// What every key begins with, without slashes at its ends; empty for none.
    pub prefix: String,
    /// The region its requests are signed for.
    pub region: String,
    /// Another server than AWS: the bucket is then the first part of the path, not of the host name.
    pub endpoint: Option<Url>,
    /// Who asks.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: SecretString,
    /// What goes with keys that were lent for a time.
    pub session_token: Option<SecretString>,
}

/// The storage cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the bucket cannot be used for objects: {reason}")]
pub struct S3BucketError {
    reason: String,
}

/// Keeps each object in a bucket, under the prefix. `Ok` means that the bucket has it.
///
/// Links are signed by the bucket's own key and lead to the bucket, past the application. A process that dies in the middle
/// of a completion leaves an unfinished upload that no listing shows and that costs money: let a lifecycle rule of the
/// bucket remove those after some days. Calls nobody when it is made.
#[derive(Clone)]
pub struct S3ObjectStorage {
    bucket: Arc<AmazonS3>,
    prefix: String,
    objects: Objects,
    clock: Arc<dyn Clock>,
}

impl S3ObjectStorage {
    /// The storage in this bucket, which must be there.
    ///
    /// # Errors
    /// What is given does not name a bucket.
    pub fn new(bucket: &S3Bucket, clock: Arc<dyn Clock>) -> Result<Self, S3BucketError> {
        Self::with_deadlines(bucket, clock, ANSWER, CALL)
    }

    /// The same with other deadlines: of one answer, and of a call with all its tries.
    ///
    /// # Errors
    /// Those of [`new`](Self::new).
    pub fn with_deadlines(
        bucket: &S3Bucket,
        clock: Arc<dyn Clock>,
        answer: Duration,
        call: Duration,
    ) -> Result<Self, S3BucketError> {
        let failed = |error: &dyn std::error::Error| S3BucketError {
            reason: error.to_string(),
        };
        let connector = Connector::new(answer).map_err(|error| failed(&error))?;
        let store = bucket
            .builder()
            .with_retry(RetryConfig {
                max_retries: TRIES_AGAIN,
                retry_timeout: call,
                backoff: BackoffConfig::default(),
            })
            .with_http_connector(connector)
            .build()
            .map_err(|error| failed(&error))?;
        let store = Arc::new(store);
        Ok(Self {
            bucket: store.clone(),
            prefix: bucket.prefix.clone(),
            objects: Objects::new(
                Arc::new(PrefixStore::new(store, bucket.prefix.clone())),
                call,
                described,
            ),
            clock,
        })
    }
}

impl S3Bucket {
    fn builder(&self) -> AmazonS3Builder {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&self.name)
            .with_region(&self.region)
            .with_access_key_id(&self.access_key_id)
            .with_secret_access_key(self.secret_access_key.expose_secret());
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token.expose_secret());
        }
        match &self.endpoint {
            Some(endpoint) => builder
                .with_endpoint(endpoint.as_str())
                .with_allow_http(endpoint.scheme() == "http"),
            // A name with a dot has no certificate as a host.
            None => builder.with_virtual_hosted_style_request(!self.name.contains('.')),
        }
    }
}

/// What a browser is told that follows a link: what customers put in is theirs to keep, not to run.
fn described(key: &ObjectKey) -> Attributes {
    Attributes::from_iter([
        (Attribute::ContentType, key.content_type().to_owned()),
        (
            Attribute::ContentDisposition,
            format!("attachment; filename=\"{}\"", key.name()),
        ),
        (Attribute::CacheControl, "private, no-store".to_owned()),
    ])
}

#[async_trait]
impl ObjectStorage for S3ObjectStorage {
    async fn put_part(&self, key: &ObjectKey, number: PartNumber, content: Vec<u8>) -> Result<(), ObjectStorageError> {
        self.objects.put_part(key, number, content).await
    }

    async fn parts(&self, key: &ObjectKey) -> Result<u32, ObjectStorageError> {
        self.objects.parts(key).await
    }

    async fn complete_of(&self, key: &ObjectKey, parts: &[PartNumber]) -> Result<u64, ObjectStorageError> {
        self.objects.complete_of(key, parts).await
    }

    async fn abort(&self, key: &ObjectKey) -> Result<(), ObjectStorageError> {
        self.objects.abort(key).await
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
        let path = object_store::path::Path::from(format!("{}/{}", self.prefix, object(key)));
        let expires_at = after(self.clock.now(), valid_for);
        let url = within(CALL, self.bucket.signed_url(Method::GET, &path, valid_for)).await?;
        Ok(DownloadLink { url, expires_at })
    }
}
