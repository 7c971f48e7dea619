//! Runs one handler as a worker would, without one.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Cause, Json, TaskEnvelope, TaskName, Tenant, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    CancellationSignal, Task, TaskContext, TaskContextParts, TaskHandler, TaskOptions, TaskResult,
};
use aftercommit_domain::time::{Clock, Timestamp, after, minutes};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::fakes::TestServices;

/// Makes the context of one run, and runs a handler with it.
///
/// [`run`](Self::run) sends the task through its envelope first, so what the handler gets went through JSON, limits and
/// sealing as it would in production.
///
/// ```
/// use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// use aftercommit_domain::tasks::{Outcome, Task, TaskContext, TaskHandler, TaskResult, completed, skipped};
/// use aftercommit_testkit::{TaskContextBuilder, test_services};
/// use async_trait::async_trait;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Task)]
/// #[task(topic = "receipts", name = "send", version = 1)]
/// struct SendReceipt { organization_id: OrganizationId, project_id: ProjectId, invoice_id: i64 }
///
/// struct Receipts;
///
/// #[async_trait]
/// impl TaskHandler<SendReceipt> for Receipts {
///     async fn handle(&self, task: SendReceipt, ctx: &TaskContext) -> TaskResult {
///         let invoice = ctx.found((task.invoice_id == 9).then_some("an invoice"), "invoice is gone")?;
///         if invoice.is_empty() { return skipped("nothing to send"); }
///         completed()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let services = test_services();
/// let task = SendReceipt { organization_id: 7.into(), project_id: 8.into(), invoice_id: 9 };
/// let result = TaskContextBuilder::new(&services).attempt(2).run(&Receipts, &task).await;
/// assert_eq!(result, Ok(Outcome::Completed));
/// # });
/// ```
#[derive(Clone)]
pub struct TaskContextBuilder {
    services: TestServices,
    task_id: MessageId,
    tenant: Tenant,
    attempt: u32,
    time_left: Duration,
    cause: Cause,
    cancellation: CancellationToken,
    slot: Option<Timestamp>,
}

impl TaskContextBuilder {
    /// The first attempt of a new task of organization 1 and project 1, with a minute left and nothing before it.
    pub fn new(services: &TestServices) -> Self {
        Self {
            task_id: services.envelopes.new_id(),
            services: services.clone(),
            tenant: Tenant::project(1_i64, 1_i64),
            attempt: 1,
            time_left: minutes(1),
            cause: Cause::root(),
            cancellation: CancellationToken::new(),
            slot: None,
        }
    }

    /// The slot of the schedule that published the task. Defaults to none.
    pub const fn slot(mut self, slot: Timestamp) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Sets the task's id, and with it the idempotency key.
    pub fn task_id(mut self, id: MessageId) -> Self {
        self.task_id = id;
        self
    }

    /// Sets whose task it is. [`run`](Self::run) takes the task's own tenant instead.
    pub fn tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = tenant;
        self
    }

    /// Sets the attempt's number, from 1.
    pub const fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets how long the attempt may take.
    pub const fn time_left(mut self, time_left: Duration) -> Self {
        self.time_left = time_left;
        self
    }

    /// Sets what caused the task.
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Sets the token that tells the handler to end early; the test keeps a clone and cancels it.
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// The context, of a task that says nothing.
    pub fn build(&self) -> TaskContext {
        let now = self.services.clock_port().now();
        self.context_of(TaskEnvelope {
            id: self.task_id,
            topic: TopicName::constant("test"),
            task: TaskName::constant("run"),
            version: 1,
            tenant: self.tenant.clone(),
            attempt: self.attempt,
            enqueued_at: now,
            first_enqueued_at: now,
            not_before: None,
            deadline: None,
            order_key: None,
            coalescing: None,
            slot: self.slot,
            cause: self.cause.clone(),
            payload: Json::empty(),
        })
    }

    fn context_of(&self, task: TaskEnvelope) -> TaskContext {
        let clock: Arc<dyn Clock> = self.services.clock_port();
        TaskContext::new(TaskContextParts {
            task: Arc::new(task),
            attempt: self.attempt,
            deadline: after(clock.now(), self.time_left),
            cancellation: Arc::new(TokenSignal(self.cancellation.clone())),
            clock,
        })
    }

    /// Runs `handler` with `task` as it comes out of its envelope. An envelope that cannot be written or read ends the
    /// run as it would in production, by the class of its error.
    pub async fn run<T: Task>(&self, handler: &impl TaskHandler<T>, task: &T) -> TaskResult {
        let (envelopes, codec) = (&self.services.envelopes, &self.services.codec);
        let written = TaskEnvelope {
            slot: self.slot,
            ..envelopes.task(self.task_id, task, &TaskOptions::default(), &self.cause)?
        };
        let read = TaskEnvelope::decode(written.encode().as_bytes(), codec.limits())?;
        let task = codec.decode::<T>(&read.payload, read.version, &read.tenant, read.id)?;
        handler.handle(task, &self.context_of(read)).await
    }
}

struct TokenSignal(CancellationToken);

#[async_trait]
impl CancellationSignal for TokenSignal {
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}
