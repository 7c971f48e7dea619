//! A database of the benchmark's own on the server of `DATABASE_URL`.

use aftercommit::postgres::sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

use crate::rig::BoxError;

/// A database that was made for one run.
pub(crate) struct BenchDatabase {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl BenchDatabase {
    pub(crate) async fn create() -> Result<Self, BoxError> {
        #[expect(clippy::disallowed_methods, reason = "a benchmark's one variable")]
        let server = std::env::var("DATABASE_URL").map_err(|_| "--provider postgres needs DATABASE_URL")?;
        let name = format!("aftercommit_bench_{}", std::process::id());
        let (start, query) = server.split_once('?').unwrap_or((&server, ""));
        let (base, _) = start.rsplit_once('/').ok_or("DATABASE_URL names no database")?;
        let url = if query.is_empty() {
            format!("{base}/{name}")
        } else {
            format!("{base}/{name}?{query}")
        };
        let mut connection = PgConnection::connect(&server).await?;
        raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self { server, name, url })
    }

    pub(crate) async fn drop(self) -> Result<(), BoxError> {
        let mut connection = PgConnection::connect(&self.server).await?;
        raw_sql(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name)))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    }
}
