//! Writing messages into an open transaction.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::outbox::rows::{NewRows, Scope};
use crate::wake::Wake;

/// A writer for an open transaction of the application's own, on whatever pool, of `tenant`, which happens because of
/// `cause`. `relay` is [`PostgresDatabase::relay_wake`](crate::PostgresDatabase::relay_wake): say
/// [`committed`](Wake::committed) after the commit, or relays look for the rows often for half a second.
pub fn create_outbox_writer(
    connection: &mut PgConnection,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
    relay: Arc<Wake>,
) -> PostgresOutboxWriter<'_> {
    PostgresOutboxWriter {
        connection,
        envelopes,
        tenant,
        cause,
        relay,
    }
}

/// Writes messages into one open transaction, each `append` at once.
pub struct PostgresOutboxWriter<'t> {
    connection: &'t mut PgConnection,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
    relay: Arc<Wake>,
}

#[async_trait]
impl OutboxWriter for PostgresOutboxWriter<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let mut rows = NewRows::default();
        let ids = rows.add(&messages, &self.tenant, self.envelopes.codec().limits())?;
        rows.insert(self.connection, &self.tenant, Scope::Unknown).await?;
        self.relay.expect();
        Ok(ids)
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        &self.envelopes
    }

    fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Debug for PostgresOutboxWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOutboxWriter")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
