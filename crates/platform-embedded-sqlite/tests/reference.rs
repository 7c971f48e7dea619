//! SQLite keeps every sentence of the reference product's repository ports, and no address in clear.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::effects::EmailAddress;
use aftercommit_domain::ids::Ids as _;
use aftercommit_domain::reference::identity::User;
use aftercommit_domain::reference::{ReferenceUnitOfWorkFactory, UserId};
use aftercommit_domain::time::Clock as _;
use aftercommit_platform_embedded_sqlite::{SqliteDatabase, SqliteOptions, SqliteReference, SqliteServices};
use aftercommit_testkit::reference::conformance::ReferenceStores;
use aftercommit_testkit::{TestServices, test_services};
use tempfile::TempDir;

struct Opened {
    services: TestServices,
    database: SqliteDatabase,
    reference: SqliteReference,
    directory: TempDir,
}

async fn open() -> Opened {
    let services = test_services();
    let directory = tempfile::tempdir().unwrap();
    let database = SqliteDatabase::open(
        SqliteOptions::new(directory.path().join("product.db")),
        SqliteServices {
            clock: services.clock_port(),
            ids: services.ids_port(),
            randomness: services.randomness_port(),
            limits: *services.codec.limits(),
        },
    )
    .await
    .unwrap();
    let reference = SqliteReference::open(&database, services.envelopes.clone())
        .await
        .unwrap();
    Opened {
        services,
        database,
        reference,
        directory,
    }
}

async fn stores() -> (ReferenceStores, Opened) {
    let opened = open().await;
    let stores = ReferenceStores {
        units: Arc::new(opened.reference.clone()),
        reader: Arc::new(opened.reference.clone()),
    };
    (stores, opened)
}

aftercommit_testkit::reference_store_conformance!(stores());

#[tokio::test]
async fn no_address_is_in_the_file_in_clear() {
    let opened = open().await;
    let user = User {
        id: UserId::from(opened.services.ids.next()),
        email: EmailAddress::new("somebody-unmistakable@example.com").unwrap(),
        created_at: opened.services.clock.now(),
    };
    let mut uow = opened.reference.begin(&Tenant::System, &Cause::root()).await.unwrap();
    uow.users().ensure(&user).await.unwrap();
    uow.commit().await.unwrap();
    let mut uow = opened.reference.begin(&Tenant::System, &Cause::root()).await.unwrap();
    assert_eq!(uow.users().find(user.id).await.unwrap(), Some(user));
    drop(uow);
    opened.database.close().await.unwrap();

    let mut files = 0;
    for entry in std::fs::read_dir(opened.directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let found = bytes.windows(12).any(|window| window == b"unmistakable");
        assert!(!found);
        files += 1;
    }
    assert!(files > 0);
}

#[tokio::test]
async fn opening_the_tables_again_changes_nothing() {
    let opened = open().await;
    SqliteReference::open(&opened.database, opened.services.envelopes.clone())
        .await
        .unwrap();
}
