//! Where objects are kept: what is understood, and what is refused.
#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::path::Path;

use aftercommit_platform_config::{Rendering, S3Settings, Settings, Storage};
use secrecy::ExposeSecret as _;

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "canary/+")];

fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_sources(pairs, None).map_err(|errors| errors.to_string())
}

fn s3(pairs: &[(&str, &str)]) -> S3Settings {
    match read(&[&KEYS[..], pairs].concat()).unwrap().storage {
        Storage::S3(settings) => settings,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_folder_that_was_named_is_told_from_the_one_of_the_data_directory() {
    let named = read(&[("STORAGE_URL", "file:///srv/files")]).unwrap().storage;
    assert!(matches!(named, Storage::Folder(path) if path == Path::new("/srv/files")));
    let own = read(&[("AFTERCOMMIT_DATA_DIR", "/var/lib/one")]).unwrap().storage;
    assert!(matches!(own, Storage::OwnFolder(path) if path == Path::new("/var/lib/one/storage")));
}

#[test]
fn a_bucket_is_reached_by_the_usual_variables() {
    let at_aws = s3(&[("STORAGE_URL", "s3://my-bucket"), ("AWS_REGION", "eu-central-1")]);
    assert_eq!((&*at_aws.bucket, &*at_aws.prefix), ("my-bucket", ""));
    assert_eq!((&*at_aws.region, at_aws.endpoint), ("eu-central-1", None));
    assert_eq!(at_aws.access_key_id, "AKIATEST");
    assert_eq!(at_aws.secret_access_key.expose_secret(), "canary/+");
    assert!(at_aws.session_token.is_none());

    let elsewhere = s3(&[
        ("STORAGE_URL", "s3://bucket/some/where/"),
        ("AWS_ENDPOINT_URL", "https://s3.example:9000"),
        ("AWS_SESSION_TOKEN", "lent"),
    ]);
    assert_eq!((&*elsewhere.prefix, &*elsewhere.region), ("some/where", "us-east-1"));
    assert_eq!(elsewhere.endpoint.unwrap().as_str(), "https://s3.example:9000/");
    assert_eq!(elsewhere.session_token.unwrap().expose_secret(), "lent");
}

#[test]
fn what_a_bucket_needs_is_asked_for_and_what_is_wrong_is_said_without_the_secret() {
    let missing = read(&[("STORAGE_URL", "s3://bucket")]).unwrap_err();
    for variable in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
        assert!(
            missing.contains(&format!("{variable}: is missing, and STORAGE_URL names a bucket")),
            "{missing}"
        );
    }
    for (name, value) in [
        ("AWS_REGION", "EU Central"),
        ("AWS_ENDPOINT_URL", "ftp://s3.example"),
        ("AWS_ENDPOINT_URL", "s3.example"),
        ("AWS_ENDPOINT_URL", "https://canary:canary@s3.example"),
        ("AWS_ENDPOINT_URL", "https://s3.example/bucket"),
        ("AWS_SECRET_ACCESS_KEY", "canary canary"),
        ("AWS_SESSION_TOKEN", "canary\u{fc}"),
    ] {
        let keys: Vec<_> = KEYS.into_iter().filter(|(key, _)| *key != name).collect();
        let given = [&keys[..], &[("STORAGE_URL", "s3://bucket"), (name, value)]].concat();
        let refused = read(&given).unwrap_err();
        assert!(refused.contains(&format!("{name}: ")), "{name}={value}: {refused}");
        assert!(!refused.contains("canary"), "{refused}");
    }
    let shown = read(
        &[
            &KEYS[..],
            &[("STORAGE_URL", "s3://bucket"), ("AWS_REGION", "eu-west-1")],
        ]
        .concat(),
    );
    let shown = shown.unwrap().describe(Rendering::Text);
    assert!(shown.contains("s3://bucket") && !shown.contains("canary"), "{shown}");
}

#[test]
fn variables_that_serve_another_program_do_no_harm_where_there_is_no_bucket() {
    let settings = read(&[("AWS_REGION", "Not A Region"), ("AWS_ENDPOINT_URL", "localhost:4566")]).unwrap();
    assert!(matches!(settings.storage, Storage::OwnFolder(_)));
}

#[test]
fn a_server_without_tls_is_warned_of_unless_it_is_on_this_machine() {
    for (endpoint, is_warned) in [
        ("http://minio:9000", true),
        ("https://minio:9000", false),
        ("http://127.0.0.1:9000", false),
        ("http://[::1]:9000", false),
    ] {
        let pairs = [("STORAGE_URL", "s3://bucket"), ("AWS_ENDPOINT_URL", endpoint)];
        let warnings = read(&[&KEYS[..], &pairs].concat()).unwrap().warnings;
        let warned = warnings.iter().any(|warning| warning.starts_with("AWS_ENDPOINT_URL"));
        assert_eq!(warned, is_warned, "{endpoint}: {warnings:?}");
    }
}
