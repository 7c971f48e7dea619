//! Writing messages into an open transaction.

use std::fmt;
use std::sync::LazyLock;

use aftercommit_domain::contract::{Cause, EnvelopeFactory, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage, OutboxWriter};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::to_micros;
use async_trait::async_trait;

use crate::columns::micros;
use crate::outbox::outbox_error;
use crate::transaction::SqliteTransaction;

/// A writer for an open transaction of `tenant`, which happens because of `cause`.
pub fn create_outbox_writer(
    transaction: &mut SqliteTransaction,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
) -> SqliteOutboxWriter<'_> {
    SqliteOutboxWriter {
        transaction,
        envelopes,
        tenant,
        cause,
    }
}

/// Writes messages into one open transaction.
pub struct SqliteOutboxWriter<'t> {
    transaction: &'t mut SqliteTransaction,
    envelopes: EnvelopeFactory,
    tenant: Tenant,
    cause: Cause,
}

const COLUMNS: usize = 8;

/// Statements for one, eight and 64 rows, so that three prepared ones serve every number.
static INSERTS: LazyLock<[String; 3]> = LazyLock::new(|| [1, 8, 64].map(insert_sql));

fn insert_sql(rows: usize) -> String {
    let row = format!("({})", ["?"; COLUMNS].join(", "));
    format!(
        "INSERT INTO aftercommit_outbox (id, kind, written_at, ordering, organization_id, name, occurred_at, body) \
         VALUES {}",
        vec![row.as_str(); rows].join(", ")
    )
}

struct NewRow {
    id: MessageId,
    kind: String,
    ordering: Option<String>,
    organization: Option<String>,
    name: Option<String>,
    occurred_at: Option<i64>,
    body: Vec<u8>,
}

#[async_trait]
impl OutboxWriter for SqliteOutboxWriter<'_> {
    async fn append(&mut self, messages: Vec<OutboxMessage>) -> Result<Vec<MessageId>, OutboxError> {
        let limits = *self.envelopes.codec().limits();
        let rows = messages
            .iter()
            .map(|message| {
                let raw = message.to_raw(&self.tenant, &limits)?;
                let (name, occurred_at) = match message {
                    OutboxMessage::Event(event) => (
                        Some(event.name.as_str().to_owned()),
                        Some(micros(to_micros(event.occurred_at))),
                    ),
                    OutboxMessage::Task(_) => (None, None),
                };
                Ok(NewRow {
                    id: message.id(),
                    kind: raw.kind,
                    ordering: message.ordering(),
                    organization: message.tenant().organization_id().map(|id| id.as_str().to_owned()),
                    name,
                    occurred_at,
                    body: raw.body,
                })
            })
            .collect::<Result<Vec<NewRow>, OutboxError>>()?;
        let written_at = micros(self.envelopes.now());
        let ids = rows.iter().map(|row| row.id).collect();
        let mut rows = rows.into_iter();
        let [one, eight, many] = &*INSERTS;
        loop {
            let (size, sql): (usize, &'static str) = match rows.len() {
                0 => break,
                1..8 => (1, one),
                8..64 => (8, eight),
                64.. => (64, many),
            };
            let mut query = sqlx::query(sql);
            for row in rows.by_ref().take(size) {
                query = query
                    .bind(row.id.uuid())
                    .bind(row.kind)
                    .bind(written_at)
                    .bind(row.ordering)
                    .bind(row.organization)
                    .bind(row.name)
                    .bind(row.occurred_at)
                    .bind(row.body);
            }
            query
                .execute(&mut **self.transaction)
                .await
                .map_err(|error| outbox_error("append", &error))?;
        }
        self.transaction.wake_relay_after_commit();
        Ok(ids)
    }

    fn envelopes(&self) -> &EnvelopeFactory {
        &self.envelopes
    }

    fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl fmt::Debug for SqliteOutboxWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOutboxWriter")
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}
