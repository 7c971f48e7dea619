//! Why an application does not start, and what a start and a stop leave behind.

use aftercommit::prelude::*;
use aftercommit::{Opened, StartupError};

use crate::application::{InvoicePaid, application, receipt_routes};
use crate::place::{Place, settings_of};

fn refused(result: Result<Opened, StartupError>) -> StartupError {
    match result {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn declared_mistakes_are_named_all_at_once_and_the_database_is_free_again() {
    let place = Place::new();
    let no_route = Aftercommit::from_env().events(catalogue![InvoicePaid]);
    let error = refused(no_route.open(place.settings()).await);
    assert!(matches!(&error, StartupError::Declaration(_)), "{error:?}");
    assert!(error.to_string().contains("InvoicePaid"), "{error}");
    assert_eq!(error.exit_code(), 78);

    let no_handler = Aftercommit::from_env()
        .events(catalogue![InvoicePaid])
        .routes(receipt_routes())
        .topic(Topic::named("receipts"))
        .topic(Topic::named("not a name"));
    let error = refused(no_handler.open(place.settings()).await);
    assert!(matches!(&error, StartupError::Declaration(_)), "{error:?}");
    let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("receipts/send")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("not a name")), "{lines:?}");

    place.open().await.close().await;
}

#[tokio::test]
async fn a_hook_that_fails_ends_the_start_and_the_database_is_free_again() {
    let place = Place::new();
    let (application, ..) = application();
    let failing = application.on_start(async |_| Err("no migration".into()));
    let error = refused(failing.open(place.settings()).await);
    assert_eq!((error.to_string().as_str(), error.exit_code()), ("no migration", 1));
    assert_stopped_cleanly(&place);
    place.open().await.close().await;
}

#[tokio::test]
async fn settings_of_a_topic_that_nobody_declared_are_refused() {
    let place = Place::new();
    let (application, ..) = application();
    let settings = settings_of(&place.data(), &[("AFTERCOMMIT_TOPICS__RECIEPTS__CONCURRENCY", "5")]);
    let error = refused(application.open(settings).await);
    assert!(matches!(&error, StartupError::Config(_)), "{error:?}");
    assert!(error.to_string().contains("AFTERCOMMIT_TOPICS__RECEIPTS"), "{error}");
    assert_eq!(error.exit_code(), 78);
}

#[cfg(not(feature = "amqp"))]
#[tokio::test]
async fn a_broker_that_was_not_compiled_in_is_refused() {
    let place = Place::new();
    let pairs = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("AMQP_URL", "amqp://127.0.0.1:1"),
        (
            "AFTERCOMMIT_SEALING__KEYS",
            "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ),
    ];
    let (application, ..) = application();
    let error = refused(application.open(settings_of(&place.data(), &pairs)).await);
    assert!(
        matches!(&error, StartupError::NotBuiltIn { provider } if provider == "RabbitMQ"),
        "{error:?}"
    );
    assert_eq!(error.exit_code(), 78);
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_made_is_named_with_the_way_out() {
    let place = Place::new();
    std::fs::write(place.data(), "a file").unwrap();
    let data = place.data().join("below-a-file");
    let (application, ..) = application();
    let error = refused(application.open(settings_of(&data, &[])).await);
    let text = error.to_string();
    assert!(
        text.contains(data.to_str().unwrap()) && text.contains("AFTERCOMMIT_DATA_DIR"),
        "{text}"
    );
    assert_eq!(error.exit_code(), 1);
}

#[tokio::test]
async fn a_second_process_on_the_same_data_directory_is_refused_until_the_first_one_closes() {
    let place = Place::new();
    let first = place.open().await;
    let (second, ..) = application();
    let error = refused(second.open(place.settings()).await);
    assert!(matches!(&error, StartupError::Database(_)), "{error:?}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    first.close().await;
    assert_stopped_cleanly(&place);
    place.open().await.close().await;
}

#[tokio::test]
async fn a_stopped_application_leaves_its_database_closed() {
    let place = Place::new();
    place.open().await.start().stop().await;
    assert_stopped_cleanly(&place);
    place.open().await.close().await;
}

#[tokio::test]
async fn links_begin_with_the_public_url_or_an_address_that_can_be_called() {
    for (name, value, expected) in [
        ("HTTP_ADDR", "127.0.0.1:9191", "http://127.0.0.1:9191"),
        ("HTTP_ADDR", "0.0.0.0:9191", "http://127.0.0.1:9191"),
        ("HTTP_ADDR", "[::]:9191", "http://[::1]:9191"),
        (
            "AFTERCOMMIT_HTTP__PUBLIC_URL",
            "https://app.example.com/",
            "https://app.example.com",
        ),
    ] {
        let place = Place::new();
        let (application, ..) = application();
        let opened = application
            .open(settings_of(&place.data(), &[(name, value)]))
            .await
            .unwrap();
        assert_eq!(opened.kit().public_url(), expected);
        opened.close().await;
    }
}

/// The lock file beside the database says that the next start has nothing to check.
fn assert_stopped_cleanly(place: &Place) {
    let lock = place.data().join("aftercommit.db.lock");
    assert_eq!(std::fs::read_to_string(lock).unwrap(), "stopped");
}
