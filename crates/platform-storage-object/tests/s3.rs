//! What a bucket of S3 answers, and what becomes of it.

#![expect(clippy::disallowed_methods, reason = "they end with the test's runtime")]
#![expect(clippy::unwrap_used, reason = "tests")]

mod bucket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::{ObjectKey, ObjectStorage as _, ObjectStorageError, PartNumber};
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_domain::time::minutes;
use aftercommit_platform_storage_object::{S3Bucket, S3ObjectStorage};
use aftercommit_testkit::conformance::ObjectStorageProvider as _;
use aftercommit_testkit::test_services;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::Url;

use bucket::Bucket;

const SECRET: &str = "nobody-else-knows-this";

fn key() -> ObjectKey {
    ObjectKey::new(&Tenant::project(1_i64, 10_i64), "exports", "1.ndjson").unwrap()
}

/// A server that gives every request the same answer, or none.
struct Answering {
    url: Url,
    requests: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Answering {
    async fn start(answer: Option<(u16, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let serving = tokio::spawn(async move {
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let Some((status, code)) = answer else {
                    silent.push(stream);
                    continue;
                };
                tokio::spawn(async move {
                    receive(&mut stream).await;
                    let body = format!(
                        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test said</Message>\
                         <StringToSign>of the request</StringToSign></Error>"
                    );
                    let answer = format!(
                        "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    // Whoever asked may have gone.
                    let _ = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { url, requests, serving }
    }

    /// A storage that gives up soon.
    fn storage(&self) -> S3ObjectStorage {
        let bucket = S3Bucket {
            name: "bucket".into(),
            prefix: String::new(),
            region: "eu-central-1".into(),
            endpoint: Some(self.url.clone()),
            access_key_id: "AKIATEST".into(),
            secret_access_key: SECRET.to_owned().into(),
            session_token: None,
        };
        let deadline = Duration::from_millis(500);
        S3ObjectStorage::with_deadlines(&bucket, test_services().clock_port(), deadline, 20 * deadline).unwrap()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Reads one request to its end, so that the answer is not lost to a connection that is reset.
async fn receive(stream: &mut TcpStream) {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await.unwrap_or(0);
        request.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return;
            }
            continue;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if read == 0 || body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return;
        }
    }
}

/// What every call of a storage comes to.
async fn every_call(storage: &S3ObjectStorage) -> Vec<ObjectStorageError> {
    vec![
        storage.put_part(&key(), PartNumber::FIRST, vec![1]).await.unwrap_err(),
        storage.parts(&key()).await.unwrap_err(),
        storage.complete(&key(), 1).await.unwrap_err(),
        storage.abort(&key()).await.unwrap_err(),
        storage.get(&key()).await.unwrap_err(),
        storage.delete(&key()).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_link_leads_past_the_application_to_the_bucket_which_gives_the_object_out_as_a_file() {
    let bucket = Bucket::start().await;
    let storage = bucket.open();
    for (number, content) in [(1, "{\"a\":1}\n"), (2, "{\"a\":2}\n")] {
        let number = PartNumber::new(number).unwrap();
        storage.put_part(&key(), number, content.into()).await.unwrap();
    }
    storage.complete(&key(), 2).await.unwrap();
    let link = storage.download_link(&key(), minutes(5)).await.unwrap();
    let endpoint = bucket.options.endpoint.clone().unwrap();
    assert_eq!(link.url.authority(), endpoint.authority());
    let path = format!("/{}/some/where/objects/1/10/exports/1.ndjson", bucket.options.name);
    assert_eq!(link.url.path(), path, "below the prefix");
    let query: Vec<String> = link.url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert!(query.contains(&"X-Amz-Signature".to_owned()), "{query:?}");
    assert!(!link.url.as_str().contains("test-secret"));

    let mut stream = TcpStream::connect(link.url.socket_addrs(|| None).unwrap()[0])
        .await
        .unwrap();
    let (path, query) = (link.url.path(), link.url.query().unwrap());
    let request = format!(
        "GET {path}?{query} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        link.url.authority()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/x-ndjson"), "{head}");
    assert!(
        head.contains("content-disposition: attachment; filename=\"1.ndjson\""),
        "{head}"
    );
    assert_eq!(body, "{\"a\":1}\n{\"a\":2}\n");
}

#[tokio::test]
async fn credentials_that_are_not_taken_are_told_apart_without_showing_them_and_others_may_be_put_in_place() {
    for (status, code) in [
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (400, "ExpiredToken"),
    ] {
        let server = Answering::start(Some((status, code))).await;
        for error in every_call(&server.storage()).await {
            let ObjectStorageError::Unauthenticated { reason } = &error else {
                panic!("{code}: {error}");
            };
            assert_eq!(error.class(), ErrorClass::Retryable);
            assert_eq!(
                *reason,
                format!("{code}: as the test said"),
                "and nothing of the request"
            );
            assert!(!error.to_string().contains(SECRET));
        }
    }
}

#[tokio::test]
async fn what_may_not_be_done_and_a_bucket_that_is_not_there_are_refusals_for_good() {
    for (status, code) in [
        (403, "AccessDenied"),
        (404, "NoSuchBucket"),
        (400, "AuthorizationHeaderMalformed"),
    ] {
        let server = Answering::start(Some((status, code))).await;
        for error in every_call(&server.storage()).await {
            assert!(matches!(error, ObjectStorageError::Refused { .. }), "{code}: {error}");
            assert_eq!(error.class(), ErrorClass::Permanent);
        }
    }
}

#[tokio::test]
async fn a_bucket_that_asks_to_slow_down_is_asked_again_a_few_times_and_then_is_unavailable() {
    let server = Answering::start(Some((503, "SlowDown"))).await;
    let storage = server.storage();
    let error = storage.parts(&key()).await.unwrap_err();
    assert!(matches!(error, ObjectStorageError::Unavailable { .. }), "{error}");
    assert_eq!(error.class(), ErrorClass::Retryable);
    assert_eq!(server.requests.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_server_that_says_nothing_and_one_that_is_not_there_are_unavailable_within_the_deadline() {
    let silent = Answering::start(None).await;
    let gone = Answering::start(None).await;
    gone.serving.abort();
    let storages = [silent.storage(), gone.storage()];
    for storage in &storages {
        let error = tokio::time::timeout(minutes(1), storage.get(&key()))
            .await
            .unwrap()
            .unwrap_err();
        assert!(matches!(error, ObjectStorageError::Unavailable { .. }), "{error}");
    }
}
