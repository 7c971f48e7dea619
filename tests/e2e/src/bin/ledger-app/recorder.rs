//! The handler: each delivery as it comes, and the effect once.

use std::time::Duration;

use aftercommit::StartupError;
use aftercommit::domain::ids::MessageId;
use aftercommit::postgres::PostgresDatabase;
use aftercommit::prelude::*;

use crate::contract::RecordStep;

/// In the transaction, whatever a handler takes.
const AT_LEAST: Duration = Duration::from_millis(2);

pub(crate) const TOPIC: &str = "steps";

struct Recorder {
    kit: Kit,
    database: PostgresDatabase,
    worker: String,
    takes: Duration,
}

pub(crate) fn topic(kit: &Kit, worker: &str, takes: Duration) -> Result<Topic, StartupError> {
    Ok(Topic::named(TOPIC).handle(Recorder {
        kit: kit.clone(),
        database: kit.postgres()?.clone(),
        worker: worker.to_owned(),
        takes,
    }))
}

#[async_trait]
impl TaskHandler<RecordStep> for Recorder {
    async fn handle(&self, task: RecordStep, ctx: &TaskContext) -> TaskResult {
        // Every event here is the first of its tree, which bears its id.
        let event = ctx.cause().correlation.as_ref();
        let event = event.and_then(|id| id.as_str().parse::<MessageId>().ok());
        let event = ctx.found(event, "no event has caused this")?;
        // Outside the transaction of the effect, so that it counts whatever becomes of that.
        sqlx::query("INSERT INTO deliveries (event_id, worker) VALUES ($1, $2)")
            .bind(event.uuid())
            .bind(&self.worker)
            .execute(&self.database.pools().handlers)
            .await
            .retryable()?;
        // A real one takes its time: of some aggregates before the transaction, of the others in it.
        let is_slow_inside = task.aggregate % 4 == 0;
        if !is_slow_inside {
            tokio::time::sleep(self.takes).await;
        }
        let mut transaction = self.database.begin(ctx.tenant()).await?;
        ctx.claim(&mut self.kit.create_inbox(&mut transaction, ctx.tenant()))
            .await?;
        // Nothing but the inbox keeps it from being there twice.
        sqlx::query(
            "INSERT INTO effects (event_id, handler, aggregate, seq, worker) VALUES ($1, 'record', $2, $3, $4)",
        )
        .bind(event.uuid())
        .bind(task.aggregate)
        .bind(task.seq)
        .bind(&self.worker)
        .execute(&mut *transaction)
        .await
        .retryable()?;
        // A kill should find some between two statements.
        tokio::time::sleep(if is_slow_inside { self.takes } else { AT_LEAST }).await;
        transaction.commit().await?;
        completed()
    }
}
