//! The inbox: a row of the handler's own transaction.

use std::fmt;
use std::sync::Arc;

use aftercommit_domain::contract::{OrganizationId, ProjectId, Tenant};
use aftercommit_domain::tasks::{Inbox, InboxClaim, InboxError, InboxMaintenance, InboxMessage, PayloadDigest};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use crate::columns::{Trouble, micros, trouble};
use crate::database::Inner;
use crate::transaction::SqliteTransaction;

/// The inbox of an open transaction of `tenant`; `now` is the time of its claims.
pub fn create_inbox(transaction: &mut SqliteTransaction, tenant: Tenant, now: Timestamp) -> SqliteInbox<'_> {
    SqliteInbox {
        transaction,
        tenant,
        now,
    }
}

/// Claims messages in one open transaction. It is the only one that is open, so a claim never waits.
pub struct SqliteInbox<'t> {
    transaction: &'t mut SqliteTransaction,
    tenant: Tenant,
    now: Timestamp,
}

#[async_trait]
impl Inbox for SqliteInbox<'_> {
    async fn claim(&mut self, message: &InboxMessage) -> Result<InboxClaim, InboxError> {
        message.check_tenant(&self.tenant)?;
        let organization = message.tenant.organization_id().map_or("", OrganizationId::as_str);
        let project = message.tenant.project_id().map_or("", ProjectId::as_str);
        let added = sqlx::query(
            "INSERT INTO aftercommit_inbox (message_id, handler, organization_id, project_id, payload, claimed_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )
        .bind(message.id.uuid())
        .bind(message.handler.as_str())
        .bind(organization)
        .bind(project)
        .bind(&message.payload.to_bytes()[..])
        .bind(micros(self.now))
        .execute(&mut **self.transaction)
        .await
        .map_err(|error| inbox_error("claim", &error))?;
        if added.rows_affected() > 0 {
            failpoint!(WORKER_IN_TRANSACTION);
            return Ok(InboxClaim::First);
        }
        let earlier: Vec<u8> = sqlx::query_scalar(
            "SELECT payload FROM aftercommit_inbox \
             WHERE message_id = ?1 AND handler = ?2 AND organization_id = ?3 AND project_id = ?4",
        )
        .bind(message.id.uuid())
        .bind(message.handler.as_str())
        .bind(organization)
        .bind(project)
        .fetch_one(&mut **self.transaction)
        .await
        .map_err(|error| inbox_error("claim", &error))?;
        message.again(digest(&earlier)?)
    }
}

fn digest(bytes: &[u8]) -> Result<PayloadDigest, InboxError> {
    let bytes = bytes.try_into().map_err(|_| InboxError::Refused {
        operation: "claim",
        reason: "the row of an earlier claim holds no digest".into(),
    })?;
    Ok(PayloadDigest::from_bytes(bytes))
}

fn inbox_error(operation: &'static str, error: &sqlx::Error) -> InboxError {
    let reason = error.to_string();
    match trouble(error) {
        Trouble::Away => InboxError::Unavailable { operation, reason },
        Trouble::Refused | Trouble::Duplicate => InboxError::Refused { operation, reason },
    }
}

/// Forgets old claims of a database.
#[derive(Clone)]
pub struct SqliteInboxMaintenance {
    pub(crate) database: Arc<Inner>,
}

/// Not those of dead letters: whoever replays one must not do again what was done.
const PRUNE: &str = "DELETE FROM aftercommit_inbox WHERE (message_id, handler, organization_id, project_id) IN (\
       SELECT message_id, handler, organization_id, project_id FROM aftercommit_inbox AS old WHERE claimed_at < ?1 \
       AND NOT EXISTS (SELECT 1 FROM aftercommit_dead_letters AS letter WHERE letter.id = old.message_id) \
       ORDER BY claimed_at LIMIT ?2)";

/// What was coalesced comes again no longer than what was done.
const PRUNE_COALESCED: &str = "DELETE FROM aftercommit_coalesced WHERE id IN (\
       SELECT id FROM aftercommit_coalesced WHERE coalesced_at < ?1 ORDER BY coalesced_at LIMIT ?2)";

/// Long over.
const PRUNE_ONCE: &str = "DELETE FROM aftercommit_once WHERE (topic, window_scope) IN (\
       SELECT topic, window_scope FROM aftercommit_once WHERE until < ?1 ORDER BY until LIMIT ?2)";

#[async_trait]
impl InboxMaintenance for SqliteInboxMaintenance {
    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, InboxError> {
        let before = micros(before);
        self.database
            .writer
            .call(
                move |connection| {
                    Box::pin(async move {
                        let mut pruned = 0;
                        for sql in [PRUNE, PRUNE_COALESCED, PRUNE_ONCE] {
                            let query = sqlx::query(sql).bind(before).bind(i64::from(limit));
                            pruned += query.execute(&mut *connection).await?.rows_affected();
                        }
                        Ok(pruned)
                    })
                },
                |_| {},
            )
            .await
            .map_err(|error| InboxError::Unavailable {
                operation: "prune",
                reason: error.to_string(),
            })
    }
}

impl fmt::Debug for SqliteInbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInbox")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SqliteInboxMaintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInboxMaintenance").finish_non_exhaustive()
    }
}
