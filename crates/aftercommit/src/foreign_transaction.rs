//! Open transactions that events and tasks can be written into, and tasks claimed in.

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::events::OutboxWriter;
use aftercommit_domain::tasks::{Inbox, TaskWindows};

use crate::kit::Kit;

/// An open transaction of the kit's database, begun by the kit or by the application itself.
pub trait OutboxTransaction {
    /// What writes into it.
    type Writer<'t>: OutboxWriter
    where
        Self: 't;

    /// What claims messages in it.
    type Inbox<'t>: Inbox
    where
        Self: 't;

    /// What changes waiting tasks in it.
    type Windows<'t>: TaskWindows
    where
        Self: 't;

    /// A writer of `tenant`, because of `cause`. [`Kit::create_outbox_writer`] calls it.
    fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_>;

    /// The inbox of `tenant`. [`Kit::create_inbox`] calls it.
    fn inbox(&mut self, kit: &Kit, tenant: &Tenant) -> Self::Inbox<'_>;

    /// The waiting tasks of `tenant`. [`Kit::create_task_windows`] calls it.
    fn windows(&mut self, kit: &Kit, tenant: &Tenant) -> Self::Windows<'_>;
}

#[cfg(feature = "sqlite")]
impl OutboxTransaction for crate::sqlite::SqliteTransaction {
    type Writer<'t> = crate::sqlite::SqliteOutboxWriter<'t>;
    type Inbox<'t> = crate::sqlite::SqliteInbox<'t>;
    type Windows<'t> = crate::sqlite::SqliteTaskWindows<'t>;

    fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
        crate::sqlite::create_outbox_writer(self, kit.envelopes().clone(), tenant.clone(), cause.clone())
    }

    fn inbox(&mut self, kit: &Kit, tenant: &Tenant) -> Self::Inbox<'_> {
        crate::sqlite::create_inbox(self, tenant.clone(), kit.envelopes().now())
    }

    fn windows(&mut self, kit: &Kit, tenant: &Tenant) -> Self::Windows<'_> {
        crate::sqlite::create_task_windows(self, tenant.clone(), kit.envelopes().now())
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use super::{Cause, Kit, OutboxTransaction, Tenant};
    use crate::postgres::sqlx::{PgConnection, Postgres, Transaction};
    use crate::postgres::{
        PostgresInbox, PostgresOutboxWriter, PostgresTaskWindows, PostgresTransaction, create_inbox,
        create_outbox_writer, create_task_windows,
    };

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
        type Inbox<'t> = PostgresInbox<'t>;
        type Windows<'t> = PostgresTaskWindows<'t>;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }

        fn inbox(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Inbox<'_> {
            create_inbox(self, tenant.clone())
        }

        fn windows(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Windows<'_> {
            create_task_windows(self, tenant.clone())
        }
    }

    /// The application's own, on whatever pool of the same database.
    impl<'c> OutboxTransaction for Transaction<'c, Postgres> {
        type Writer<'t>
            = PostgresOutboxWriter<'t>
        where
            'c: 't;
        type Inbox<'t>
            = PostgresInbox<'t>
        where
            'c: 't;
        type Windows<'t>
            = PostgresTaskWindows<'t>
        where
            'c: 't;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }

        fn inbox(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Inbox<'_> {
            create_inbox(self, tenant.clone())
        }

        fn windows(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Windows<'_> {
            create_task_windows(self, tenant.clone())
        }
    }

    /// A connection the application began a transaction on.
    impl OutboxTransaction for PgConnection {
        type Writer<'t> = PostgresOutboxWriter<'t>;
        type Inbox<'t> = PostgresInbox<'t>;
        type Windows<'t> = PostgresTaskWindows<'t>;

        fn outbox_writer(&mut self, kit: &Kit, tenant: &Tenant, cause: &Cause) -> Self::Writer<'_> {
            writer(self, kit, tenant, cause)
        }

        fn inbox(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Inbox<'_> {
            create_inbox(self, tenant.clone())
        }

        fn windows(&mut self, _kit: &Kit, tenant: &Tenant) -> Self::Windows<'_> {
            create_task_windows(self, tenant.clone())
        }
    }
}
