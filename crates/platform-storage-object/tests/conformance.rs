//! Objects in files and in a bucket of S3 keep every sentence of the port's contract, and leave nothing lying about.

#![expect(clippy::unwrap_used, reason = "tests")]

mod bucket;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::{ObjectKey, ObjectStorage, PartNumber};
use aftercommit_domain::time::{Clock, Timestamp, hours};
use aftercommit_platform_storage_object::FileObjectStorage;
use aftercommit_testkit::conformance::ObjectStorageProvider;
use aftercommit_testkit::{TestServices, test_services};
use tempfile::TempDir;
use url::Url;

use bucket::Bucket;

struct Files {
    folder: TempDir,
    services: TestServices,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            services: test_services(),
        }
    }

    fn open(&self) -> FileObjectStorage {
        let downloads = Url::parse("http://127.0.0.1:9090/downloads").unwrap();
        let folder = self.folder.path().join("storage");
        FileObjectStorage::open(
            &folder,
            downloads,
            self.services.clock_port(),
            &*self.services.randomness,
        )
        .unwrap()
    }

    /// Every file there is but the secret.
    fn files(&self) -> Vec<PathBuf> {
        fn add(folder: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(&path, files);
                } else if !path.ends_with("links.key") {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        add(self.folder.path(), &mut files);
        files.sort();
        files
    }
}

impl ObjectStorageProvider for Files {
    async fn start() -> Self {
        Self::new()
    }

    fn storage(&self) -> Arc<dyn ObjectStorage> {
        Arc::new(self.open())
    }

    fn now(&self) -> Timestamp {
        self.services.clock.now()
    }
}

aftercommit_testkit::object_storage_conformance!(Files);

mod s3 {
    use super::Bucket;

    aftercommit_testkit::object_storage_conformance!(Bucket);
}

fn key() -> ObjectKey {
    ObjectKey::new(&Tenant::project(1_i64, 10_i64), "exports", "1.csv").unwrap()
}

#[tokio::test]
async fn a_link_of_one_process_is_good_in_every_other_until_it_ends() {
    let files = Files::new();
    let link = files.open().download_link(&key(), hours(1)).await.unwrap();
    assert!(
        link.url
            .as_str()
            .starts_with("http://127.0.0.1:9090/downloads/1/10/exports/1.csv?expires=")
    );
    let query: Vec<(String, String)> = link.url.query_pairs().into_owned().collect();
    let [(_, expires), (_, signature)] = &query[..] else {
        panic!("{query:?}");
    };
    let expires = expires.parse().unwrap();
    let secret = files.open().secret();
    assert!(secret.check(&key(), expires, signature, files.now()).is_ok());
    assert!(secret.check(&key(), expires, signature, link.expires_at).is_err());
}

#[tokio::test]
async fn an_abort_and_a_completion_remove_the_drafts_of_a_process_that_died() {
    let files = Files::new();
    let storage = files.open();
    for part in 1..=2 {
        storage
            .put_part(&key(), PartNumber::new(part).unwrap(), vec![1])
            .await
            .unwrap();
    }
    let parts = files.folder.path().join("storage/parts/1/10/exports/1.csv");
    let objects = files.folder.path().join("storage/objects/1/10/exports");
    fs::create_dir_all(&objects).unwrap();
    let drafts = || {
        fs::create_dir_all(&parts).unwrap();
        fs::write(parts.join("00003#1"), "half").unwrap();
        fs::write(objects.join("1.csv#1"), "half").unwrap();
    };
    drafts();
    assert_eq!(storage.parts(&key()).await, Ok(2), "a draft is no part");
    assert_eq!(storage.complete(&key(), 2).await, Ok(2));
    assert_eq!(files.files(), [objects.join("1.csv")]);
    drafts();
    storage.abort(&key()).await.unwrap();
    storage.delete(&key()).await.unwrap();
    assert_eq!(files.files(), [] as [PathBuf; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn a_secret_that_other_users_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let files = Files::new();
    files.open();
    let path = files.folder.path().join("storage/links.key");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let folder = files.folder.path().join("storage");
    let downloads = Url::parse("http://127.0.0.1/").unwrap();
    let opened = FileObjectStorage::open(
        &folder,
        downloads,
        files.services.clock_port(),
        &*files.services.randomness,
    );
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("links.key") && error.contains("chmod 600"), "{error}");
}
