//! A small application, written with nothing but the facade and serde.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aftercommit::domain::failure::{ErrorClass, Failure};
use aftercommit::domain::ids::MessageId;
use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
pub(crate) struct InvoicePaid {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    #[aggregate_id]
    pub(crate) invoice_id: i64,
    pub(crate) receipt_to: Sealed<String>,
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1)]
pub(crate) struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
    receipt_to: Sealed<String>,
}

/// Run by one test only, so that it can be counted.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "measured", name = "count", version = 1)]
pub(crate) struct Count {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

/// What a handler saw.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) task_id: MessageId,
    pub(crate) receipt_to: String,
    pub(crate) invoice_id: i64,
}

/// Handles both tasks, and tells of each run.
#[derive(Clone)]
pub(crate) struct Handlers {
    ran: mpsc::UnboundedSender<Ran>,
    is_broken: Arc<AtomicBool>,
}

impl Handlers {
    /// From now on every receipt fails for good.
    pub(crate) fn break_down(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl TaskHandler<SendReceipt> for Handlers {
    async fn handle(&self, task: SendReceipt, ctx: &TaskContext) -> TaskResult {
        self.ran
            .send(Ran {
                task_id: ctx.task_id(),
                receipt_to: task.receipt_to.into_exposed(),
                invoice_id: task.invoice_id,
            })
            .unwrap();
        if self.is_broken.load(Ordering::SeqCst) {
            return Err(Stop::Failed {
                failure: Failure::new("printer.gone", ErrorClass::Permanent, "there is no printer"),
                retry_after: None,
            });
        }
        completed()
    }
}

#[async_trait]
impl TaskHandler<Count> for Handlers {
    async fn handle(&self, _task: Count, ctx: &TaskContext) -> TaskResult {
        self.ran
            .send(Ran {
                task_id: ctx.task_id(),
                receipt_to: String::new(),
                invoice_id: 0,
            })
            .unwrap();
        completed()
    }
}

pub(crate) fn receipt_routes() -> Routes {
    Routes::new().on(|event: &InvoicePaid| {
        publish(SendReceipt {
            organization_id: event.organization_id.clone(),
            project_id: event.project_id.clone(),
            invoice_id: event.invoice_id,
            receipt_to: event.receipt_to.clone(),
        })
    })
}

/// The application, and where its handlers tell of their runs.
pub(crate) fn application() -> (Aftercommit, Handlers, mpsc::UnboundedReceiver<Ran>) {
    let (ran, runs) = mpsc::unbounded_channel();
    let handlers = Handlers {
        ran,
        is_broken: Arc::default(),
    };
    let application = Aftercommit::from_env()
        .source("/tests")
        .events(catalogue![InvoicePaid])
        .routes(receipt_routes())
        .topic(Topic::named("receipts").handle::<SendReceipt>(handlers.clone()))
        .topic(Topic::named("measured").handle::<Count>(handlers.clone()));
    (application, handlers, runs)
}

pub(crate) fn invoice_paid(invoice_id: i64) -> InvoicePaid {
    InvoicePaid {
        organization_id: 1.into(),
        project_id: 2.into(),
        invoice_id,
        receipt_to: Sealed::new(CANARY.to_owned()),
    }
}

/// Goes through `Sealed`, so it may be in no answer and in no file.
pub(crate) const CANARY: &str = "canary@customer.example";
