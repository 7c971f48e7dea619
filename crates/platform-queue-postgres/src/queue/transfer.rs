//! The shorter way from an outbox of the same database: its rows become tasks in one transaction.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::{Claim, Marked, OutboxError, OutboxTransfer};
use async_trait::async_trait;

use crate::queue::PostgresQueue;
use crate::queue::new_tasks::{NewTask, Rows};
use crate::statement::{Trouble, TroubleKind};

const TRANSFER: &str = "transfer";

#[async_trait]
impl OutboxTransfer for PostgresQueue {
    async fn transfer(&self, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError> {
        let limits = &self.inner.database.services().limits;
        let (mut positions, mut tokens) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        let mut tasks = Vec::with_capacity(rows.len());
        for (claim, task) in rows {
            positions.push(claim.position);
            tokens.push(claim.token.0);
            let (ordering, body) = (task.ordering(), task.encode_within(limits)?);
            tasks.push(NewTask::new(task, ordering, body.into_bytes()));
        }
        let columns = Rows::of(tasks.iter());
        let changed = self
            .inner
            .engine
            .run(move |connection| Box::pin(columns.transfer(positions, tokens, connection)))
            .await
            .map_err(outbox_error)?;
        let mut announcement = self.inner.announcer.begin();
        for task in &tasks {
            announcement.add(task);
        }
        announcement.make();
        // Those behind a transferred row may go on.
        self.inner.database.relay_wake().bump();
        Ok(Marked {
            changed: u64::try_from(changed).unwrap_or(0),
            stale: 0,
        })
    }
}

fn outbox_error(trouble: Trouble) -> OutboxError {
    let (operation, reason) = (TRANSFER, trouble.reason);
    match trouble.kind {
        TroubleKind::Away | TroubleKind::Unknown => OutboxError::Unavailable { operation, reason },
        TroubleKind::RowsLost => OutboxError::Stale { operation },
        TroubleKind::Conflict => OutboxError::Conflict { operation, reason },
        TroubleKind::Refused | TroubleKind::LeaseLost => OutboxError::Refused { operation, reason },
    }
}
