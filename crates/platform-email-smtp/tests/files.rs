//! The sender that writes files.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aftercommit_domain::effects::{Email, EmailAddress, EmailError, EmailSender, IdempotencyKey};
use aftercommit_domain::ids::MessageId;
use aftercommit_platform_email_smtp::{FileEmailSender, MailFrom};
use aftercommit_testkit::ManualClock;
use uuid::Uuid;

fn sender(folder: &Path) -> FileEmailSender {
    let from = MailFrom::parse("Acme <no-reply@acme.example>").unwrap();
    FileEmailSender::open(folder, from, Arc::new(ManualClock::default())).unwrap()
}

fn email(text: &str) -> Email {
    Email {
        to: EmailAddress::new("reader@example.com").unwrap(),
        subject: "Hi".into(),
        text: text.into(),
        html: String::new(),
    }
}

fn key(n: u128) -> IdempotencyKey {
    IdempotencyKey::from(MessageId::from(Uuid::from_u128(n)))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn each_key_has_one_file_and_a_repeated_send_replaces_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/mail");
    let sender = sender(&folder);
    sender.send(email("first"), &key(1)).await.unwrap();
    sender.send(email("second"), &key(1)).await.unwrap();
    sender.send(email("other"), &key(2)).await.unwrap();
    assert_eq!(
        files(&folder),
        [1, 2].map(|n| folder.join(format!("{}.eml", Uuid::from_u128(n))))
    );
    let first = fs::read_to_string(&files(&folder)[0]).unwrap();
    assert!(
        first.contains("second") && first.contains("To: reader@example.com\r\n"),
        "{first}"
    );
}

#[tokio::test]
async fn sends_of_one_key_at_once_leave_one_whole_file() {
    let root = tempfile::tempdir().unwrap();
    let sender = sender(root.path());
    let texts: Vec<String> = (0..8).map(|n| format!("text {n}").repeat(2_000)).collect();
    let key = key(1);
    let sends = texts.iter().map(|text| sender.send(email(text), &key));
    for result in futures::future::join_all(sends).await {
        result.unwrap();
    }
    let [file] = &files(root.path())[..] else {
        panic!("{:?}", files(root.path()))
    };
    let written = fs::read_to_string(file).unwrap().replace("=\r\n", "");
    assert_eq!(texts.iter().filter(|text| written.contains(text.as_str())).count(), 1);
    assert!(written.trim_end().ends_with("--"), "cut off");
}

#[cfg(unix)]
#[tokio::test]
async fn folder_and_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mail");
    sender(&folder).send(email("x"), &key(1)).await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&files(&folder)[0]), 0o600);
}

#[tokio::test]
async fn a_key_with_unusual_steps_stays_in_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mail");
    sender(&folder)
        .send(email("x"), &key(1).step("../../outside"))
        .await
        .unwrap();
    assert_eq!(files(root.path()), std::slice::from_ref(&folder));
    assert_eq!(files(&folder).len(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_or_vanished_is_an_error_without_addresses() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mail");
    let sender = sender(&folder);
    fs::remove_dir(&folder).unwrap();
    let error = sender.send(email("x"), &key(1)).await.unwrap_err();
    assert!(matches!(&error, EmailError::Unavailable { .. }), "{error}");
    assert!(!error.to_string().contains('@'), "{error}");

    fs::write(&folder, "a file").unwrap();
    let from = MailFrom::parse("no-reply@acme.example").unwrap();
    let error = FileEmailSender::open(&folder, from, Arc::new(ManualClock::default()))
        .err()
        .unwrap();
    assert!(error.to_string().contains("mail"), "{error}");
}
