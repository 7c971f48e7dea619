//! The tables of `ledger-app`.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// Creates the tables, as the owner of the database would, with `aggregates` walks that have taken no step.
pub async fn create_tables(url: &str, aggregates: u32) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let sql = format!(
        "CREATE TABLE walks (id bigint PRIMARY KEY, seq bigint NOT NULL);
        INSERT INTO walks SELECT id, 0 FROM generate_series(1, {aggregates}) AS id;
        -- What was committed: written in the transaction of the event.
        CREATE TABLE ledger_intent (
            event_id uuid PRIMARY KEY, aggregate bigint NOT NULL, seq bigint NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp(), UNIQUE (aggregate, seq)
        );
        -- What followed. No key: what happens twice is to be seen.
        CREATE TABLE effects (
            entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id uuid NOT NULL, handler text NOT NULL,
            aggregate bigint NOT NULL, seq bigint NOT NULL, worker text NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        );
        -- How often a handler was run.
        CREATE TABLE deliveries (
            event_id uuid NOT NULL, worker text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp()
        )"
    );
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}
