//! The SQLite file of a process that has ended, looked at and tampered with from outside.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

/// The file of a process that has ended.
#[derive(Debug)]
pub struct Database(SqliteConnection);

impl Database {
    /// Opens the file in this data directory.
    pub async fn open(data: &Path) -> Self {
        let options = SqliteConnectOptions::new().filename(data.join("aftercommit.db"));
        Self(options.connect().await.unwrap())
    }

    /// What `PRAGMA integrity_check` says: `ok`, or what is wrong.
    pub async fn integrity(&mut self) -> String {
        let lines: Vec<String> = self.texts("PRAGMA integrity_check").await;
        let references = sqlx::query("PRAGMA foreign_key_check")
            .fetch_all(&mut self.0)
            .await
            .unwrap();
        assert_eq!(references.len(), 0, "rows that refer to nothing");
        lines.join("\n")
    }

    /// A number.
    pub async fn number(&mut self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&mut self.0).await.unwrap()
    }

    /// A column of texts.
    pub async fn texts(&mut self, query: &'static str) -> Vec<String> {
        sqlx::query_scalar(query).fetch_all(&mut self.0).await.unwrap()
    }

    /// Changes something, and answers how many rows.
    pub async fn execute(&mut self, statement: &'static str) -> u64 {
        sqlx::query(statement)
            .execute(&mut self.0)
            .await
            .unwrap()
            .rows_affected()
    }

    /// Closes it, so that a process can open it.
    pub async fn close(self) {
        self.0.close().await.unwrap();
    }
}
