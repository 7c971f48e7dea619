//! What the application's role may do.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::connect_error::ConnectError;

/// The longest name PostgreSQL keeps, in bytes.
const MAX_ROLE: usize = 63;

/// Whether row-level security holds for the role, which it must before anything is granted to it.
const ROLE: &str = "\
    SELECT rolsuper, rolbypassrls, pg_has_role(oid, current_user, 'MEMBER') FROM pg_catalog.pg_roles WHERE rolname = $1";

/// One statement for each row. Only tables under row-level security are granted, so that one which was forgotten fails
/// instead of showing everything. What runs as the owner is for those it is granted to.
const GRANTS: &str = "\
    SELECT statement FROM ( \
        SELECT 1, format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure) \
        FROM pg_catalog.pg_proc \
        WHERE prosecdef AND pronamespace IN (to_regnamespace('aftercommit'), to_regnamespace('reference')) \
        UNION ALL \
        SELECT 2, format('GRANT USAGE ON SCHEMA %I TO %I', nspname, $1) \
        FROM pg_catalog.pg_namespace WHERE nspname IN ('aftercommit', 'reference') \
        UNION ALL \
        SELECT 3, format('GRANT INSERT ON aftercommit.outbox TO %I', $1) \
        UNION ALL \
        SELECT 3, format('GRANT SELECT, INSERT ON aftercommit.inbox TO %I', $1) \
        UNION ALL \
        SELECT 3, format('GRANT SELECT, INSERT, UPDATE, DELETE ON aftercommit.schedules TO %I', $1) \
        UNION ALL \
        SELECT 3, format('GRANT INSERT ON aftercommit.schedule_ticks TO %I', $1) \
        UNION ALL \
        SELECT 4, format('GRANT SELECT, INSERT, UPDATE, DELETE ON reference.%I TO %I', relname, $1) \
        FROM pg_catalog.pg_class \
        WHERE relnamespace = to_regnamespace('reference') AND relkind = 'r' AND relforcerowsecurity AND relrowsecurity \
        UNION ALL \
        SELECT 5, format('GRANT EXECUTE ON FUNCTION %s TO %I', oid::regprocedure, $1) \
        FROM pg_catalog.pg_proc \
        WHERE pronamespace = to_regnamespace('reference') \
            OR pronamespace = to_regnamespace('aftercommit') AND proname IN ( \
                'clock', 'current_scope', 'current_organization', 'current_project', 'may_touch', 'is_tenant_id', \
                'outbox_append', 'write_event', 'inbox_claim', 'windows_change' \
            ) \
    ) AS line (place, statement) ORDER BY place, statement";

/// Lets `role` do what units of work need: write to the outbox, and read and write the product's tables where they
/// exist; row-level security decides which rows. All of it or nothing; doing it again changes nothing. To be repeated
/// after migrations, by whoever owns the tables.
///
/// # Errors
/// [`ConnectError::Role`] when there is no such role or row-level security would not hold for it; the server.
pub async fn grant_to(connection: &mut PgConnection, role: &str) -> Result<(), ConnectError> {
    let mut transaction = connection.begin().await.map_err(|error| refused(&error))?;
    for statement in grants_for(&mut transaction, role).await? {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await
            .map_err(|error| refused(&error))?;
    }
    transaction.commit().await.map_err(|error| refused(&error))
}

/// The statements of [`grant_to`], for those who run them with a tool of their own.
///
/// # Errors
/// As [`grant_to`].
pub async fn grants_for(connection: &mut PgConnection, role: &str) -> Result<Vec<String>, ConnectError> {
    let unfit = |reason: &'static str| ConnectError::Role {
        role: role.escape_debug().take(MAX_ROLE).collect(),
        reason,
    };
    // PostgreSQL takes `public` for everybody, also in quotes, and `none` for nobody.
    if role.is_empty() || role.len() > MAX_ROLE || role.contains(char::is_control) || matches!(role, "public" | "none")
    {
        return Err(unfit("is not the name of a role"));
    }
    let known: Option<(bool, bool, bool)> = sqlx::query_as(ROLE)
        .bind(role)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| refused(&error))?;
    match known {
        None => Err(unfit(
            "does not exist; create it first, with LOGIN NOSUPERUSER NOBYPASSRLS",
        )),
        Some((true, _, _)) => Err(unfit("is a superuser, whom row-level security does not hold")),
        Some((_, true, _)) => Err(unfit("has BYPASSRLS, so row-level security does not hold it")),
        Some((_, _, true)) => Err(unfit(
            "owns the tables, or is a member of the role that does; it needs no grants",
        )),
        Some((false, false, false)) => sqlx::query_scalar(GRANTS)
            .bind(role)
            .fetch_all(connection)
            .await
            .map_err(|error| refused(&error)),
    }
}

fn refused(error: &sqlx::Error) -> ConnectError {
    ConnectError::of("grant", error)
}
