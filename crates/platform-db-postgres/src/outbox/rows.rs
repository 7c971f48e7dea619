//! Messages as rows of the outbox.

use aftercommit_domain::contract::{Limits, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::outbox::outbox_error;

/// The same as `aftercommit.outbox_append` for one row of a transaction that knows its tenant. The turn is taken before the
/// position is drawn, because the inner row is made first; and so has the transaction its number.
const INSERT_ONE: &str = "INSERT INTO aftercommit.outbox \
       (id, kind, written_at, order_key, organization_id, project_id, bucket, name, occurred_at, body) \
     SELECT $1, $2, aftercommit.clock(), turn.order_key, $4, $5, coalesce($4, ' '), $6, $7, $8 \
     FROM (SELECT hashtextextended($3, 0) AS order_key, \
             pg_advisory_xact_lock(1634036835, (hashtextextended($3, 0) & 4095)::integer) \
           WHERE pg_current_xact_id() IS NOT NULL OFFSET 0) AS turn";

/// Whether the transaction knows its tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// It began with it.
    Set,
    /// It is the application's own, and the statement says it.
    Unknown,
}

/// What a transaction of `tenant` sees.
pub(crate) const fn scope_of(tenant: &Tenant) -> &'static str {
    match tenant {
        Tenant::System => "system",
        Tenant::Organization { .. } => "organization",
        Tenant::Project { .. } => "project",
    }
}

/// Rows to add, column by column, as one statement takes them.
#[derive(Debug, Default)]
pub(crate) struct NewRows {
    ids: Vec<Uuid>,
    kinds: Vec<String>,
    orders: Vec<Option<String>>,
    organizations: Vec<Option<String>>,
    projects: Vec<Option<String>>,
    names: Vec<Option<String>>,
    occurred: Vec<Option<Timestamp>>,
    bodies: Vec<Vec<u8>>,
    bytes: usize,
}

impl NewRows {
    /// Adds messages: all of them, or none when one may not be written.
    pub(crate) fn add(
        &mut self,
        messages: &[OutboxMessage],
        tenant: &Tenant,
        limits: &Limits,
    ) -> Result<Vec<MessageId>, OutboxError> {
        let raw = messages
            .iter()
            .map(|message| message.to_raw(tenant, limits))
            .collect::<Result<Vec<_>, _>>()?;
        for (message, raw) in messages.iter().zip(raw) {
            let (name, occurred_at) = match message {
                OutboxMessage::Event(event) => (Some(event.name.as_str().to_owned()), Some(event.occurred_at)),
                OutboxMessage::Task(_) => (None, None),
            };
            let of = message.tenant();
            self.ids.push(message.id().uuid());
            self.kinds.push(raw.kind);
            self.orders.push(message.ordering());
            self.organizations
                .push(of.organization_id().map(|id| OrganizationId::as_str(id).to_owned()));
            self.projects
                .push(of.project_id().map(|id| ProjectId::as_str(id).to_owned()));
            self.names.push(name);
            self.occurred.push(occurred_at);
            self.bytes += raw.body.len();
            self.bodies.push(raw.body);
        }
        Ok(messages.iter().map(OutboxMessage::id).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The bytes of the bodies.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Writes them into the transaction of `connection`, in one statement.
    pub(crate) async fn insert(
        self,
        connection: &mut PgConnection,
        tenant: &Tenant,
        scope: Scope,
    ) -> Result<(), OutboxError> {
        if self.is_empty() {
            return Ok(());
        }
        if self.len() == 1 && scope == Scope::Set {
            return self.insert_one(connection).await;
        }
        sqlx::query("SELECT aftercommit.outbox_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)")
            .bind(self.ids)
            .bind(self.kinds)
            .bind(self.orders)
            .bind(self.organizations)
            .bind(self.projects)
            .bind(self.names)
            .bind(self.occurred)
            .bind(self.bodies)
            .bind(scope_of(tenant))
            .bind(tenant.organization_id().map(OrganizationId::as_str))
            .bind(tenant.project_id().map(ProjectId::as_str))
            .execute(connection)
            .await
            .map_err(|error| outbox_error("append", &error))?;
        Ok(())
    }

    /// Most transactions write one message, and without a function's detour that costs half.
    async fn insert_one(mut self, connection: &mut PgConnection) -> Result<(), OutboxError> {
        sqlx::query(INSERT_ONE)
            .bind(self.ids.pop())
            .bind(self.kinds.pop())
            .bind(self.orders.pop().flatten())
            .bind(self.organizations.pop().flatten())
            .bind(self.projects.pop().flatten())
            .bind(self.names.pop().flatten())
            .bind(self.occurred.pop().flatten())
            .bind(self.bodies.pop())
            .execute(connection)
            .await
            .map_err(|error| outbox_error("append", &error))?;
        Ok(())
    }
}
