//! A start that fails late. In a process of its own, because it sets up the process's logs and metrics.

use aftercommit::config::Settings;
use aftercommit::{Aftercommit, StartupError};

#[tokio::test]
async fn an_address_that_is_taken_ends_the_start_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let environment = [
        ("AFTERCOMMIT_DATA_DIR".to_owned(), data.to_str().unwrap().to_owned()),
        ("HTTP_ADDR".to_owned(), address.clone()),
    ];
    let settings = Settings::from_sources(environment, None).unwrap();
    let run_file = settings.data_dir.run_file();

    let error = Box::pin(Aftercommit::from_env().run_with(settings)).await.unwrap_err();

    assert!(matches!(&error, StartupError::Listen { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("HTTP_ADDR") && text.contains(&address), "{text}");
    assert!(!run_file.exists());
    let lock = std::fs::read_to_string(data.join("aftercommit.db.lock")).unwrap();
    assert_eq!(lock, "stopped");
}
