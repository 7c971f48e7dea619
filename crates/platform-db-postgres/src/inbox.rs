//! The inbox: a row of the handler's own transaction.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::tasks::{Inbox, InboxClaim, InboxError, InboxMaintenance, InboxMessage, PayloadDigest};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;
use sqlx::PgConnection;

use crate::database::Inner;
use crate::outbox::rows::scope_of;
use crate::trouble::{Trouble, told, trouble};

/// The inbox of an open transaction of `tenant`: a unit of work's, or one of the application's own on whatever pool of the
/// database.
pub fn create_inbox(connection: &mut PgConnection, tenant: Tenant) -> PostgresInbox<'_> {
    PostgresInbox { connection, tenant }
}

/// Claims messages in one open transaction.
pub struct PostgresInbox<'t> {
    connection: &'t mut PgConnection,
    tenant: Tenant,
}

#[async_trait]
impl Inbox for PostgresInbox<'_> {
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
        message.check_tenant(&self.tenant)?;
        let (of, transaction) = (&message.tenant, &self.tenant);
        let earlier: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT aftercommit.inbox_claim($1, $2, $3, $4, $5, $6, $7, $8)")
                .bind(message.id.uuid())
                .bind(message.handler.as_str())
                .bind(of.organization_id().map(OrganizationId::as_str))
                .bind(of.project_id().map(ProjectId::as_str))
                .bind(message.payload.to_bytes())
                .bind(scope_of(transaction))
                .bind(transaction.organization_id().map(OrganizationId::as_str))
                .bind(transaction.project_id().map(ProjectId::as_str))
                .fetch_one(&mut *self.connection)
                .await
                .map_err(|error| not_claimed(&error, message))?;
        match earlier {
            None => {
                failpoint!(WORKER_IN_TRANSACTION);
                Ok(InboxClaim::First)
            }
            Some(earlier) => message.again(digest(&earlier)?),
        }
    }
}

fn digest(bytes: &[u8]) -> Result<PayloadDigest, InboxError> {
    let bytes = bytes.try_into().map_err(|_| InboxError::Refused {
        operation: "claim",
        reason: "the row of an earlier claim holds no digest".into(),
    })?;
    Ok(PayloadDigest::from_bytes(bytes))
}

fn not_claimed(error: &sqlx::Error, message: &InboxMessage) -> InboxError {
    match trouble(error) {
        Trouble::Away => unavailable("claim", told(error)),
        Trouble::Conflict => InboxError::Busy {
            handler: message.handler.clone(),
            id: message.id,
        },
        Trouble::Refused | Trouble::Duplicate => InboxError::Refused {
            operation: "claim",
            reason: told(error),
        },
    }
}

fn unavailable(operation: &'static str, reason: String) -> InboxError {
    InboxError::Unavailable { operation, reason }
}

/// Forgets old claims of a database.
#[derive(Clone)]
pub struct PostgresInboxMaintenance {
    pub(crate) database: Arc<Inner>,
}

/// Not those of dead letters: whoever replays one must not do again what was done.
const PRUNE: &str = "DELETE FROM aftercommit.inbox WHERE (message_id, handler, organization_id, project_id) IN (\
       SELECT message_id, handler, organization_id, project_id FROM aftercommit.inbox AS old WHERE claimed_at < $1 \
       AND NOT EXISTS (SELECT FROM aftercommit.dead_letters AS letter WHERE letter.id = old.message_id) \
       ORDER BY claimed_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// What was coalesced comes again no longer than what was done.
const PRUNE_COALESCED: &str = "DELETE FROM aftercommit.coalesced WHERE id IN (\
       SELECT id FROM aftercommit.coalesced WHERE coalesced_at < $1 ORDER BY coalesced_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Long over.
const PRUNE_ONCE: &str = "DELETE FROM aftercommit.once WHERE (topic, window_scope) IN (\
       SELECT topic, window_scope FROM aftercommit.once WHERE until < $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED)";

#[async_trait]
impl InboxMaintenance for PostgresInboxMaintenance {
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError> {
        let pruned = self
            .database
            .leases
            .run(move |connection| {
                Box::pin(async move {
                    let mut pruned = 0;
                    for sql in [PRUNE, PRUNE_COALESCED, PRUNE_ONCE] {
                        let query = sqlx::query(sql).bind(before).bind(i64::from(limit));
                        pruned += query.execute(&mut *connection).await?.rows_affected();
                    }
                    Ok(pruned)
                })
            })
            .await
            .map_err(|error| unavailable("prune", error.to_string()))?;
        Ok(pruned)
    }
}

impl fmt::Debug for PostgresInbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInbox")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresInboxMaintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInboxMaintenance").finish_non_exhaustive()
    }
}
