//! Open transactions that events and tasks can be written into.

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::OutboxWriter;

use crate::kit::Kit;

/// An open transaction of the kit's database, begun by the kit or by the application itself.
pub trait OutboxTransaction {
    /// What writes into it.
    type Writer<'t>: OutboxWriter
    where
        Self: 't;

    /// A writer of `tenant`, because of `cause`. [`Kit::create_outbox_writer`] calls it.
    fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_>;
}

#[cfg(feature = "sqlite")]
impl OutboxTransaction for crate::sqlite::SqliteTransaction {
    type Writer<'t> = crate::sqlite::SqliteOutboxWriter<'t>;

    fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
        crate::sqlite::create_outbox_writer(self, kit.envelopes().clone(), tenant.clone(), cause.clone())
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::{Cause, Kit, OutboxTransaction, Tenant};
    use crate::postgres::sqlx::{PgConnection, Postgres, Transaction};
    use crate::postgres::{PostgresOutboxWriter, PostgresTransaction, create_outbox_writer};

    fn writer<'t>(
        connection: &'t mut PgConnection,
        kit: &Kit,
        tenant: &Tenant,
        cause: &Cause,
    ) -> PostgresOutboxWriter<'t> {
        let envelopes = kit.envelopes().clone();
        create_outbox_writer(connection, envelopes, tenant.clone(), cause.clone(), kit.relay_wake())
    }

    impl OutboxTransaction for PostgresTransaction {
        type Writer<'t> = PostgresOutboxWriter<'t>;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }
    }

    /// The application's own, on whatever pool of the same database.
    impl<'c> OutboxTransaction for Transaction<'c, Postgres> {
        type Writer<'t>
            = PostgresOutboxWriter<'t>
        where
            'c: 't;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }
    }

    /// A connection the application began a transaction on.
    impl OutboxTransaction for PgConnection {
        type Writer<'t> = PostgresOutboxWriter<'t>;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }
    }
}
