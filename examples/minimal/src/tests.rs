//! What follows from a paid invoice: everything in memory but the application's own table.

use aftercommit::sqlite::{SqliteOptions, SqliteServices};
use aftercommit_testkit::TestApplication;
use tempfile::TempDir;

use super::*;

/// The application over a database with one invoice, number 1.
async fn application() -> (TestApplication, SqliteDatabase, TempDir) {
    let app = TestApplication::new().events(catalogue![InvoicePaid]).routes(routes());
    let kit = app.kit();
    let services = SqliteServices {
        clock: kit.clock(),
        ids: kit.ids(),
        randomness: kit.randomness(),
        limits: *kit.envelopes().codec().limits(),
    };
    let folder = TempDir::new().unwrap();
    let options = SqliteOptions::new(folder.path().join("invoices.db"));
    let database = SqliteDatabase::open(options, services).await.unwrap();
    execute(
        &database,
        "create table invoices (id integer primary key, total integer not null) strict",
    )
    .await;
    execute(&database, "insert into invoices (total) values (42)").await;
    let receipts = Receipts {
        database: database.clone(),
    };
    let app = app.topic(Topic::named("receipts").handle::<SendReceipt>(receipts));
    (app, database, folder)
}

async fn execute(database: &SqliteDatabase, statement: &'static str) {
    let mut tx = database.begin().await.unwrap();
    sqlx::query(statement).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

fn paid(invoice_id: i64) -> InvoicePaid {
    InvoicePaid {
        organization_id: 1.into(),
        project_id: 1.into(),
        invoice_id,
    }
}

#[tokio::test]
async fn a_paid_invoice_is_followed_by_its_receipt() {
    let (app, _database, _folder) = application().await;
    app.write(paid(1)).await;
    app.run_until_idle().await;
    assert_eq!(app.assert_published::<SendReceipt>()[0].invoice_id, 1);
    assert_eq!(app.outcomes::<SendReceipt>()[0].reason, None);
    app.finish();
}

#[tokio::test]
async fn an_invoice_that_is_gone_gets_none() {
    let (app, _database, _folder) = application().await;
    app.write(paid(2)).await;
    app.run_until_idle().await;
    let outcomes = app.outcomes::<SendReceipt>();
    assert_eq!(outcomes[0].reason.as_deref(), Some("the invoice is gone"));
}

#[tokio::test]
async fn a_receipt_that_cannot_be_made_is_tried_again_until_it_can() {
    let (app, database, _folder) = application().await;
    execute(&database, "alter table invoices rename to elsewhere").await;
    app.write(paid(1)).await;
    app.run_due().await;
    assert_eq!(app.outcomes::<SendReceipt>(), [], "it is to be tried again");
    execute(&database, "alter table elsewhere rename to invoices").await;
    app.run_until_idle().await;
    assert_eq!(app.outcomes::<SendReceipt>()[0].attempts, 2);
}
