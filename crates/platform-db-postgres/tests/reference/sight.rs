//! What can be seen of the two tenants: within a transaction, and of what is really there.

use aftercommit_domain::contract::Tenant;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::rig::Rig;
use crate::side::Side;

/// The tables that tell whose their rows are, and by which column; partitions are seen through their table.
const TENANT_TABLES: &str = "\
    SELECT format('%I.%I', nspname, relname), CASE relname WHEN 'organizations' THEN 'id' ELSE 'organization_id' END \
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
    WHERE nspname IN ('aftercommit', 'reference') AND relkind IN ('r', 'p') AND NOT relispartition \
        AND (relname = 'organizations' OR EXISTS ( \
            SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'organization_id' \
        )) \
    ORDER BY 1";

/// The tables of the database that hold rows of tenants.
pub(crate) struct Sight {
    tables: Vec<(String, String)>,
}

impl Sight {
    pub(crate) async fn of(rig: &Rig) -> Self {
        let tables = sqlx::query_as(TENANT_TABLES)
            .fetch_all(&mut rig.superuser().await)
            .await;
        Self {
            tables: tables.unwrap(),
        }
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|(table, _)| table.as_str())
    }

    /// What a transaction of `tenant` sees that is another organization's: table and number of rows.
    pub(crate) async fn strangers(&self, rig: &Rig, tenant: &Tenant) -> Vec<(String, i64)> {
        let mine = tenant.organization_id().unwrap().as_str();
        let counts = self.tables.iter().map(|(table, organization)| {
            // An empty organization is none: a request on an open route.
            format!("SELECT '{table}', count(*) FROM {table} WHERE {organization} NOT IN ('{mine}', '')")
        });
        let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
        let mut transaction = rig.database.begin(tenant).await.unwrap();
        let seen: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(counts))
            .fetch_all(&mut *transaction)
            .await
            .unwrap();
        seen.into_iter().filter(|(_, rows)| *rows > 0).collect()
    }

    /// What is seen without a scope: table and number of rows.
    pub(crate) async fn unscoped(&self, rig: &Rig) -> Vec<(String, i64)> {
        let counts = self.tables().chain(["reference.users", "reference.sign_in_links"]);
        let counts = counts.map(|table| format!("SELECT '{table}', count(*) FROM {table}"));
        let counts = counts.collect::<Vec<_>>().join(" UNION ALL ");
        let seen: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(counts))
            .fetch_all(&rig.database.pools().handlers)
            .await
            .unwrap();
        seen.into_iter().filter(|(_, rows)| *rows > 0).collect()
    }

    /// Everything that is really there of a tenant, as one text that changes when any of it does.
    pub(crate) async fn state(&self, superuser: &mut PgConnection, side: &Side) -> String {
        let mine = side.organization.as_str();
        let rows = self.tables.iter().map(|(table, organization)| {
            format!("SELECT '{table}' || line::text AS line FROM {table} AS line WHERE {organization} = '{mine}'")
        });
        let person = format!(
            "SELECT line::text FROM reference.users AS line WHERE id = '{}'",
            side.user
        );
        let rows = rows.chain([person]).collect::<Vec<_>>().join(" UNION ALL ");
        let all = format!("SELECT string_agg(line, chr(10) ORDER BY line) FROM ({rows}) AS every (line)");
        sqlx::query_scalar(AssertSqlSafe(all))
            .fetch_one(superuser)
            .await
            .unwrap()
    }
}
