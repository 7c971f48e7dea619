//! What the doctor finds out about the object storage.

use std::fs;

use aftercommit::Aftercommit;
use aftercommit::doctor::{Finding, FindingState};

use crate::place::{Place, settings_of};

async fn storage(place: &Place, more: &[(&str, &str)]) -> Vec<Finding> {
    let settings = settings_of(&place.data(), more);
    let findings = Box::pin(aftercommit::doctor::examine(Aftercommit::from_env(), settings)).await;
    findings
        .into_iter()
        .filter(|finding| finding.what == "object storage")
        .collect()
}

#[tokio::test]
async fn the_doctor_puts_reads_and_removes_an_object_in_a_folder_and_makes_none() {
    let place = Place::new();
    let folder = place.data().join("files");
    let url = format!("file://{}", folder.display());
    let given = [("STORAGE_URL", url.as_str())];
    let found = storage(&place, &given).await;
    assert_eq!(found[0].state, FindingState::Well);
    assert!(!folder.exists(), "looking makes no folder");

    fs::create_dir_all(&folder).unwrap();
    let found = storage(&place, &given).await;
    assert_eq!((found.len(), found[0].state), (1, FindingState::Well), "{found:?}");
    let left = walk(&folder);
    assert!(left.iter().all(|file| file.ends_with("links.key")), "{left:?}");
}

#[tokio::test]
async fn the_doctor_says_that_a_folder_is_none_and_that_a_bucket_does_not_answer_without_the_keys() {
    let place = Place::new();
    let file = place.data().join("no-folder");
    fs::create_dir_all(place.data()).unwrap();
    fs::write(&file, "").unwrap();
    let url = format!("file://{}", file.display());
    let found = storage(&place, &[("STORAGE_URL", &url)]).await;
    assert_eq!(found[0].state, FindingState::Failed, "{found:?}");

    let bucket = [
        ("STORAGE_URL", "s3://bucket"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_ACCESS_KEY_ID", "AKIATEST"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
    ];
    let found = storage(&place, &bucket).await;
    assert_eq!((found.len(), found[0].state), (1, FindingState::Failed), "{found:?}");
    assert!(
        found[0].detail.contains("the bucket bucket at http://127.0.0.1:1/"),
        "{found:?}"
    );
    assert!(found[0].advice.contains("AWS_ENDPOINT_URL"), "{found:?}");
    assert!(!format!("{found:?}").contains("canary"));
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_folder_in_the_data_directory_is_warned_of_where_other_processes_share_the_database() {
    let place = Place::new();
    let server = [("DATABASE_URL", "postgres://127.0.0.1:1/app")];
    let found = storage(&place, &server).await;
    assert_eq!(found[1].state, FindingState::Warning, "{found:?}");
    assert!(
        found[1]
            .detail
            .contains("a folder that all processes share, or a bucket"),
        "{found:?}"
    );
    let named = [server[0], ("STORAGE_URL", "file:///srv/files")];
    assert_eq!(storage(&place, &named).await.len(), 1, "somebody chose it");
    assert_eq!(storage(&place, &[]).await.len(), 1, "with SQLite there is one process");
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path.display().to_string()]
            }
        })
        .collect()
}
