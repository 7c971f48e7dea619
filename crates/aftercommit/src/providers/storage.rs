//! Where objects are kept: a folder, or a bucket of S3.

use std::path::PathBuf;
use std::sync::Arc;

use aftercommit_domain::effects::{Downloads, ObjectStorage};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::time::Clock;
use aftercommit_platform_config::{Database, S3Settings, Settings, Storage};
use aftercommit_platform_storage_object::{FileObjectStorage, S3Bucket, S3ObjectStorage};
use url::Url;

use crate::startup::StartupError;

/// The storage, and what answers `/downloads/`: nothing of a bucket's, whose links lead there.
pub(crate) struct Opened {
    pub(crate) storage: Arc<dyn ObjectStorage>,
    pub(crate) downloads: Downloads,
}

/// Opens that of a process, and logs where another process would look elsewhere.
pub(crate) fn of(kit: &crate::Kit) -> Result<Opened, StartupError> {
    if let Some(warning) = not_shared(kit.settings()) {
        tracing::warn!("{warning}");
    }
    open(kit.settings(), &kit.public_url(), kit.clock(), &*kit.randomness())
}

/// Opens what the settings name. `public_url` is what links of a folder begin with.
pub(crate) fn open(
    settings: &Settings,
    public_url: &str,
    clock: Arc<dyn Clock>,
    randomness: &dyn Randomness,
) -> Result<Opened, StartupError> {
    let failed = |error: &dyn std::error::Error| StartupError::Storage(error.to_string());
    let folder = match &settings.storage {
        Storage::Folder(folder) | Storage::OwnFolder(folder) => folder,
        Storage::S3(s3) => {
            let storage = S3ObjectStorage::new(&bucket(s3), clock).map_err(|error| failed(&error))?;
            let storage: Arc<dyn ObjectStorage> = Arc::new(storage);
            return Ok(Opened {
                downloads: Downloads::elsewhere(Arc::clone(&storage)),
                storage,
            });
        }
        _ => {
            return Err(StartupError::NotBuiltIn {
                provider: "this object storage".into(),
            });
        }
    };
    let links = Url::parse(&format!("{public_url}/downloads/")).map_err(|error| failed(&error))?;
    let files =
        FileObjectStorage::open(folder, links, Arc::clone(&clock), randomness).map_err(|error| failed(&error))?;
    let secret = files.secret();
    let storage: Arc<dyn ObjectStorage> = Arc::new(files);
    Ok(Opened {
        downloads: Downloads::new(Arc::clone(&storage), secret, clock),
        storage,
    })
}

/// What goes wrong as soon as there is a second process, where it can be known.
pub(crate) fn not_shared(settings: &Settings) -> Option<String> {
    let (Storage::OwnFolder(folder), Database::Postgres(_)) = (&settings.storage, &settings.database) else {
        return None;
    };
    Some(format!(
        "STORAGE_URL: files are kept in {}, in the data directory of this process; what another process keeps is not found \
         here, and its links to downloads are refused. Name a folder that all processes share, or a bucket",
        folder.display()
    ))
}

/// The folder of objects, if it is one.
pub(crate) fn folder(settings: &Settings) -> Option<&PathBuf> {
    match &settings.storage {
        Storage::Folder(folder) | Storage::OwnFolder(folder) => Some(folder),
        _ => None,
    }
}

/// How people call the place.
pub(crate) fn place(settings: &Settings) -> String {
    match &settings.storage {
        Storage::Folder(folder) | Storage::OwnFolder(folder) => folder.display().to_string(),
        Storage::S3(s3) => {
            let server = s3.endpoint.as_ref().map_or("AWS", Url::as_str);
            format!("the bucket {} at {server}", s3.bucket)
        }
        other => format!("{other:?}"),
    }
}

fn bucket(s3: &S3Settings) -> S3Bucket {
    S3Bucket {
        name: s3.bucket.clone(),
        prefix: s3.prefix.clone(),
        region: s3.region.clone(),
        endpoint: s3.endpoint.clone(),
        access_key_id: s3.access_key_id.clone(),
        secret_access_key: s3.secret_access_key.clone(),
        session_token: s3.session_token.clone(),
    }
}
