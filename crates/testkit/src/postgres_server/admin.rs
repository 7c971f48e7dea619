//! The few statements a test server needs itself.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use url::Url;

use crate::throw_away::trouble::{Outcome, Trouble};

/// How long one conversation may take, with the copy of a template in it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs statements one after the other on one connection and answers the texts in the first column of the last one.
///
/// It blocks, and brings its own runtime, so that it also works where a test ends.
pub(super) fn run(url: &Url, statements: Vec<String>) -> Outcome<Vec<String>> {
    let url = url.clone();
    let work = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Trouble::while_doing("cannot start a runtime for the test server"))?;
        runtime.block_on(async move {
            tokio::time::timeout(PATIENCE, converse(&url, &statements))
                .await
                .map_err(|_elapsed| {
                    Trouble::new(format!("the test server has not answered for {} s", PATIENCE.as_secs()))
                })?
        })
    });
    work.join()
        .unwrap_or_else(|_panic| Err(Trouble::new("the work on the test server panicked")))
}

async fn converse(url: &Url, statements: &[String]) -> Outcome<Vec<String>> {
    let options = PgConnectOptions::from_url(url)
        .map_err(Trouble::while_doing("the URL of the test server is wrong"))?
        .application_name("aftercommit-testkit")
        // This connection says what fails by its results.
        .disable_statement_logging();
    let mut connection = options
        .connect()
        .await
        .map_err(Trouble::while_doing("cannot connect to the test server"))?;
    let mut rows = Vec::new();
    for statement in statements {
        rows = connection
            .fetch_all(sqlx::raw_sql(AssertSqlSafe(statement.clone())))
            .await
            .map_err(Trouble::while_doing(&format!("the test server refused `{statement}`")))?;
    }
    // What is to be done is done; how the farewell goes is the server's affair.
    let _closed = connection.close().await;
    rows.iter()
        .map(|row| sqlx::Row::try_get(row, 0).map_err(Trouble::while_doing("an answer of the test server is no text")))
        .collect()
}

/// A literal of SQL.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
