//! `STORAGE_URL` and `AWS_*`: where files that are too large for a database are kept.

use crate::{
    data_dir::{DataDir, STORAGE_DIR},
    host::is_loopback,
    key::{Form, Key, Preset},
    reading::Reading,
    s3_url,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use secrecy::SecretString;
use std::path::{Component, Path, PathBuf};
use url::Url;

/// What the URL of a folder begins with.
const FILE: &str = "file://";

/// The object storage that the URL's scheme picks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Storage {
    /// A folder that somebody named. A relative path starts at the working directory.
    Folder(PathBuf),
    /// `storage` in the data directory, the default: other processes have one of their own.
    OwnFolder(PathBuf),
    /// A bucket.
    S3(S3Settings),
}

/// A bucket of S3, or of a server that speaks its protocol. `Debug` leaves secrets out.
#[derive(Debug, Clone)]
pub struct S3Settings {
    /// The bucket.
    pub bucket: String,
    /// What every key begins with, without slashes at its ends; empty for none.
    pub prefix: String,
    /// Defaults to `us-east-1` with an endpoint, and is needed without.
    pub region: String,
    /// Another server than AWS.
    pub endpoint: Option<Url>,
    /// Who asks.
    pub access_key_id: String,
    /// The key that signs.
    pub secret_access_key: SecretString,
    /// What goes with keys that were lent for a time.
    pub session_token: Option<SecretString>,
}

pub(crate) static KEYS: [Key; 6] = [
    Key::new(
        "storage_url",
        Form::Described("file://<path of a folder>, s3://bucket or s3://bucket/prefix"),
        Preset::InDataDir {
            prefix: FILE,
            name: STORAGE_DIR,
        },
        "Where files are kept that are too large for the database, such as exports. All processes reach the same: a folder \
         that they share, or a bucket.",
    )
    .variable("STORAGE_URL")
    .secret(),
    Key::new(
        "s3.region",
        Form::Described("the name of a region, such as eu-central-1"),
        Preset::Unset("us-east-1 with AWS_ENDPOINT_URL; else it is needed for a bucket"),
        "The region of the bucket.",
    )
    .variable("AWS_REGION"),
    Key::new(
        "s3.endpoint_url",
        Form::Described("http:// or https://, a host, and a port where it is another, without a path"),
        Preset::Unset("the bucket is at AWS"),
        "Another server that speaks S3.",
    )
    .variable("AWS_ENDPOINT_URL"),
    Key::new(
        "s3.access_key_id",
        PRINTABLE,
        Preset::Unset("needed for a bucket"),
        "Who reaches the bucket: may list it, and get, put and delete its objects.",
    )
    .variable("AWS_ACCESS_KEY_ID"),
    Key::new(
        "s3.secret_access_key",
        PRINTABLE,
        Preset::Unset("needed for a bucket"),
        "The key that belongs to it.",
    )
    .variable("AWS_SECRET_ACCESS_KEY")
    .secret(),
    Key::new(
        "s3.session_token",
        PRINTABLE,
        Preset::Unset("the keys are good for ever"),
        "What goes with keys that were lent for a time; a process that outlives them needs new ones.",
    )
    .variable("AWS_SESSION_TOKEN")
    .secret(),
];

const PRINTABLE: Form = Form::Described("1 to 4096 printable ASCII characters without spaces");

/// What `STORAGE_URL` says.
#[derive(Debug)]
enum Place {
    Folder(PathBuf),
    Bucket { name: String, prefix: String },
}

impl Storage {
    pub(crate) fn read(reading: &mut Reading<'_>, data_dir: &DataDir) -> Self {
        let [url, region_key, endpoint_key, id_key, secret_key, token_key] = &KEYS;
        let own = || Self::OwnFolder(data_dir.storage_dir());
        let place = reading.parsed(url, parse, Place::shown);
        // Read in any case, so that the values are shown. Elsewhere these variables serve other programs too, so without a
        // bucket nothing is wrong with them.
        let is_bucket = matches!(place, Some(Place::Bucket { .. }));
        let checked =
            |check: fn(&str) -> Result<(), String>| move |text: &str| if is_bucket { check(text) } else { Ok(()) };
        let text =
            |check: fn(&str) -> Result<(), String>| move |text: &str| checked(check)(text).map(|()| text.to_owned());
        let region = reading.parsed(region_key, text(s3_url::check_region), String::clone);
        let endpoint = reading.parsed(
            endpoint_key,
            |text| {
                if is_bucket {
                    s3_url::endpoint(text).map(Some)
                } else {
                    Ok(None)
                }
            },
            |endpoint| endpoint.as_ref().map_or_else(|| "unused".to_owned(), Url::to_string),
        );
        let access_key_id = reading.parsed(id_key, text(s3_url::check_printable), String::clone);
        let secret_access_key = reading.secret(secret_key, checked(s3_url::check_printable));
        let session_token = reading.secret(token_key, checked(s3_url::check_printable));
        let (name, prefix) = match place {
            Some(Place::Folder(path)) => return Self::Folder(path),
            Some(Place::Bucket { name, prefix }) => (name, prefix),
            None => return own(),
        };
        let endpoint = endpoint.flatten();
        let is_at_aws = !reading.is_given(endpoint_key);
        for (key, is_needed) in [(region_key, is_at_aws), (id_key, true), (secret_key, true)] {
            if is_needed && !reading.is_given(key) {
                reading.refuse("", key, "is missing, and STORAGE_URL names a bucket");
            }
        }
        Self::S3(S3Settings {
            bucket: name,
            prefix,
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint,
            access_key_id: access_key_id.unwrap_or_default(),
            secret_access_key: secret_access_key.unwrap_or_default(),
            session_token,
        })
    }

    /// What works but should be changed.
    pub(crate) fn warning(&self) -> Option<String> {
        let Self::S3(s3) = self else { return None };
        let endpoint = s3.endpoint.as_ref()?;
        let host = endpoint.host_str().unwrap_or_default();
        (endpoint.scheme() == "http" && !is_loopback(host.trim_matches(['[', ']']))).then(|| {
            format!(
                "AWS_ENDPOINT_URL: files and links to them go to {host} without TLS, where everybody on the way can read \
                 and change them; https:// closes it"
            )
        })
    }
}

impl Place {
    fn shown(&self) -> String {
        match self {
            Self::Folder(path) => folder_url(path),
            Self::Bucket { name, prefix } if prefix.is_empty() => format!("s3://{name}"),
            Self::Bucket { name, prefix } => format!("s3://{name}/{prefix}"),
        }
    }
}

/// The URL that is read as this folder.
fn folder_url(path: &Path) -> String {
    /// What would be read as something else.
    const SPECIAL: AsciiSet = CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#').add(b'@');
    let path = path.to_string_lossy();
    format!("{FILE}{}", utf8_percent_encode(&path, &SPECIAL))
}

fn parse(text: &str) -> Result<Place, String> {
    let Some((scheme, rest)) = text.split_once(':') else {
        return Err("is not a URL".to_owned());
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" => folder(rest.strip_prefix("//").unwrap_or(rest)).map(Place::Folder),
        "s3" => s3_url::bucket(rest).map(|(name, prefix)| Place::Bucket { name, prefix }),
        _ => Err("has a scheme that no provider serves".to_owned()),
    }
}

fn folder(path: &str) -> Result<PathBuf, String> {
    if path.contains(['?', '#']) {
        return Err("has parameters, and a folder has none".to_owned());
    }
    // The URL of a server with the wrong scheme would become a folder that is named after its password.
    if path.split('/').next().is_some_and(|first| first.contains('@')) {
        return Err("names a user or a server, but a folder has neither".to_owned());
    }
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "is not UTF-8".to_owned())?;
    if path.chars().any(char::is_control) {
        return Err("contains a line break or another control character".to_owned());
    }
    if path.trim_matches('/').is_empty() {
        return Err("names no folder".to_owned());
    }
    let path = PathBuf::from(path.as_ref());
    if path.components().any(|component| component == Component::ParentDir) {
        return Err("climbs out of a directory with `..`; give the absolute path".to_owned());
    }
    Ok(path)
}
