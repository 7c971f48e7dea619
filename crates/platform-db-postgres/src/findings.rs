//! What works but takes protection away.

use sqlx::{Connection as _, Executor as _, PgConnection, Row as _};
use tokio::time::timeout;

use crate::options::PostgresOptions;
use crate::pools::application_connection;

/// In one message each, which a pooler sends to one server.
const ROLE: &str = "SELECT rolname::text, rolsuper, rolbypassrls FROM pg_catalog.pg_roles WHERE rolname = current_user";
const DURABILITY: &str = "SELECT name, setting FROM pg_catalog.pg_settings \
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name";

/// One sentence for each thing that works but takes protection away; none when all is well. `direct` is a connection of
/// [`migrations::connect`](crate::migrations::connect). What cannot be found out is left out.
pub async fn findings(options: &PostgresOptions, direct: &mut PgConnection) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(mut application) = application_connection(options).await {
        found.extend(
            timeout(options.statement_timeout, unheld_role(&mut application))
                .await
                .ok()
                .flatten(),
        );
        // A failure to say goodbye changes nothing.
        let _ = timeout(options.statement_timeout, application.close()).await;
    }
    if let Ok(Ok(rows)) = timeout(options.statement_timeout, direct.fetch_all(DURABILITY)).await {
        found.extend(rows.iter().filter_map(|row| {
            let name: String = row.try_get(0).ok()?;
            Some(format!(
                "PostgreSQL runs with {name} = off: what was committed may be lost when the machine fails"
            ))
        }));
    }
    found
}

/// A role of the application that row-level security does not hold.
async fn unheld_role(application: &mut PgConnection) -> Option<String> {
    let row = application.fetch_one(ROLE).await.ok()?;
    let role: String = row.try_get(0).ok()?;
    let (is_super, bypasses): (bool, bool) = (row.try_get(1).ok()?, row.try_get(2).ok()?);
    let what = match (is_super, bypasses) {
        (true, _) => "is a superuser",
        (false, true) => "has BYPASSRLS",
        (false, false) => return None,
    };
    Some(format!(
        "the application's role {role} {what}: row-level security does not hold it, and a query without its tenant sees \
         every tenant's rows; give the application a role of its own (docs/guides/postgres.md)"
    ))
}
