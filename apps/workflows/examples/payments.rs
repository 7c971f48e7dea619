//! An application with workflows on Temporal in two programs: `payments workers` takes requests and tasks, `payments workflows`
//! runs workflows. Both find PostgreSQL by `DATABASE_URL` and Temporal by `TEMPORAL_ADDRESS`.

use std::process::ExitCode;

use aftercommit::domain::contract::SignalName;
use aftercommit::prelude::*;
use aftercommit::runtime::Roles;
use aftercommit_workflows::wiring::with_temporal;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    amount: i64,
}

impl WorkflowSignal for Paid {
    const NAME: SignalName = SignalName::constant("paid");
}

struct CollectingPayment;

#[async_trait]
impl Workflow for CollectingPayment {
    type Input = CollectPayment;
    type Output = i64;

    async fn run(&self, ctx: &WorkflowContext, input: CollectPayment) -> Result<i64, Exit> {
        ctx.publish("invoice", &input.invoice_id)?;
        Ok(ctx.wait_signal::<Paid>().await?.amount)
    }
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

struct Receipts;

#[async_trait]
impl TaskHandler<SendReceipt> for Receipts {
    async fn handle(&self, _: SendReceipt, _: &TaskContext) -> TaskResult {
        completed()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let application = with_temporal(Aftercommit::from_env());
    let application = match std::env::args().nth(1).as_deref() {
        Some("workers") => application
            .topic(Topic::named("receipts").handle::<SendReceipt>(Receipts))
            // Others run it; operators can start it from here.
            .workflows(|_| async { Ok(Workflows::new().starting::<CollectPayment>()) }),
        Some("workflows") => application
            .workflows(|_| async { Ok(Workflows::new().workflow(CollectingPayment)) })
            .roles(Roles::none()),
        _ => {
            eprintln!("payments: say workers or workflows");
            return ExitCode::from(2);
        }
    };
    Box::pin(application.run()).await
}
