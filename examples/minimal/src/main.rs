//! An invoice is paid, and its receipt follows: one table, one event, one task, one handler.

use std::process::ExitCode;

use aftercommit::prelude::*;
use aftercommit::sqlite::SqliteDatabase;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

fn routes() -> Routes {
    Routes::new().on(|event: &InvoicePaid| {
        let (organization_id, project_id) = (event.organization_id.clone(), event.project_id.clone());
        publish(SendReceipt {
            organization_id,
            project_id,
            invoice_id: event.invoice_id,
        })
    })
}

struct Receipts {
    database: SqliteDatabase,
}

#[async_trait]
impl TaskHandler<SendReceipt> for Receipts {
    async fn handle(&self, task: SendReceipt, ctx: &TaskContext) -> TaskResult {
        let total: Option<i64> = sqlx::query_scalar("select total from invoices where id = ?")
            .bind(task.invoice_id)
            .fetch_optional(self.database.reader())
            .await
            .retryable()?;
        let total = ctx.found(total, "the invoice is gone")?;
        println!(
            "receipt for invoice {} over {total} sent, key {}",
            task.invoice_id,
            ctx.idempotency_key()
        );
        completed()
    }
}

/// The application's own table, and one invoice paid in one transaction with its event.
async fn pay_an_invoice(kit: Kit) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut tx = kit.sqlite()?.begin().await?;
    sqlx::query("create table if not exists invoices (id integer primary key, total integer not null) strict")
        .execute(&mut *tx)
        .await?;
    let invoice_id: i64 = sqlx::query_scalar("insert into invoices (total) values (42) returning id")
        .fetch_one(&mut *tx)
        .await?;
    let event = InvoicePaid {
        organization_id: 1.into(),
        project_id: 1.into(),
        invoice_id,
    };
    kit.create_outbox_writer(&mut tx, &Tenant::project(1, 1), &Cause::root())
        .write(event)
        .await?;
    tx.commit().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    Aftercommit::from_env()
        .events(catalogue![InvoicePaid])
        .routes(routes())
        .topics(async |kit| {
            Ok(vec![Topic::named("receipts").handle(Receipts {
                database: kit.sqlite()?.clone(),
            })])
        })
        .on_start(pay_an_invoice)
        .run()
        .await
}

#[cfg(test)]
mod tests;
