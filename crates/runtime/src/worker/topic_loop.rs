//! The loop of one topic: take a task when a handler is free, run it, settle it.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName, WorkerName};
use aftercommit_domain::failure::Failure;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    AttemptEnd, ConsumeOptions, Deliveries, Delivery, Outcome, QueueConsumer, RetryPolicy, Verdict, settle,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::lifecycle::Round;
use crate::worker::attempt::{self, AttemptServices};
use crate::worker::registry::RegisteredTopic;
use crate::worker::settle::carry_out;
use crate::worker::topic_metrics::{TopicMetrics, word};

/// Takes the tasks of one topic and runs their handlers.
pub struct TopicLoop {
    shared: Arc<Shared>,
    consumer: Arc<dyn QueueConsumer>,
    options: ConsumeOptions,
    permits: Arc<Semaphore>,
}

/// What a topic's loop needs.
pub struct TopicLoopPorts {
    /// Where tasks come from.
    pub consumer: Arc<dyn QueueConsumer>,
    /// For jitter.
    pub randomness: Arc<dyn Randomness>,
    /// What attempts share.
    pub services: AttemptServices,
    /// Who takes the tasks.
    pub worker: WorkerName,
    /// How long a delivery stays this worker's without a sign of life.
    pub lease: Duration,
}

struct Shared {
    topic: RegisteredTopic,
    services: AttemptServices,
    randomness: Arc<dyn Randomness>,
    metrics: TopicMetrics,
}

impl TopicLoop {
    pub(crate) fn new(topic: RegisteredTopic, ports: TopicLoopPorts) -> Self {
        let TopicLoopPorts {
            consumer,
            randomness,
            services,
            worker,
            lease,
        } = ports;
        let options = ConsumeOptions {
            worker,
            prefetch: topic.prefetch,
            lease,
        };
        let permits = Arc::new(Semaphore::new(topic.concurrency));
        let metrics = TopicMetrics::new(&topic.name);
        Self {
            shared: Arc::new(Shared {
                topic,
                services,
                randomness,
                metrics,
            }),
            consumer,
            options,
            permits,
        }
    }

    /// The topic's name.
    pub fn topic(&self) -> &TopicName {
        &self.shared.topic.name
    }

    /// Consumes until `stop` is cancelled.
    ///
    /// # Errors
    /// The queue is away. Running attempts go on; their settling fails or waits by itself.
    pub async fn round(&self, stop: &CancellationToken) -> Result<Round, Failure> {
        let mut deliveries = self
            .consumer
            .consume(self.topic(), self.options.clone())
            .await
            .map_err(|error| Failure::of(&error))?;
        let result = self.take(&mut *deliveries, stop).await;
        deliveries.stop().await;
        result
    }

    async fn take(&self, deliveries: &mut dyn Deliveries, stop: &CancellationToken) -> Result<Round, Failure> {
        loop {
            // A handler must be free before a task is taken, so that none waits here while another worker is idle.
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Round::Over),
                permit = Arc::clone(&self.permits).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { return Ok(Round::Over) };
            let next = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Round::Over),
                next = deliveries.next() => next,
            };
            match next.map_err(|error| Failure::of(&error))? {
                Some(delivery) => self.start(delivery, permit),
                None => return Ok(Round::Again),
            }
        }
    }

    fn start(&self, delivery: Box<dyn Delivery>, permit: OwnedSemaphorePermit) {
        let shared = Arc::clone(&self.shared);
        self.shared
            .services
            .shutdown
            .spawn_attempt(async move { shared.attempt(delivery, permit).await });
    }
}

impl Shared {
    async fn attempt(&self, delivery: Box<dyn Delivery>, permit: OwnedSemaphorePermit) {
        let started = Instant::now();
        self.metrics.running.increment(1.0);
        let attempt = delivery.attempt();
        let (verdict, task) = match attempt::read(&*delivery, &self.topic, &self.services.limits) {
            Err(failure) => (
                self.decide(AttemptEnd::Unreadable(failure), attempt, &RetryPolicy::default()),
                None,
            ),
            Ok(readable) => {
                self.record_wait(&readable.task);
                let end = attempt::run(&readable, attempt, &self.services).await;
                (self.decide(end, attempt, &readable.handler.retry), Some(readable.task))
            }
        };
        self.metrics.running.decrement(1.0);
        self.metrics
            .ended(task.as_ref().map(|task| &task.task), &verdict, started.elapsed());
        self.log(&verdict, task.as_ref(), attempt);
        // The handler is free for the next task while this one is being settled; prefetch bounds how many are.
        drop(permit);
        carry_out(delivery, &verdict, &self.metrics).await;
    }

    fn decide(&self, end: AttemptEnd, attempt: u32, policy: &RetryPolicy) -> Verdict {
        settle(end, attempt, policy, self.randomness.unit())
    }

    fn record_wait(&self, task: &TaskEnvelope) {
        let could_run = task.not_before.unwrap_or(task.enqueued_at).max(task.enqueued_at);
        let wait = self
            .services
            .clock
            .now()
            .signed_duration_since(could_run)
            .to_std()
            .unwrap_or_default();
        self.metrics.wait_seconds.record(wait.as_secs_f64());
    }

    /// One line for each attempt that did not simply succeed, at the level of the attention it needs.
    fn log(&self, verdict: &Verdict, task: Option<&TaskEnvelope>, attempt: u32) {
        let topic = &self.topic.name;
        let name = task.map(|task| task.task.as_str());
        let task_id = task.map(|task| tracing::field::display(task.id));
        let organization_id = task
            .and_then(|task| task.tenant.organization_id())
            .map(aftercommit_domain::contract::OrganizationId::as_str);
        let project_id = task
            .and_then(|task| task.tenant.project_id())
            .map(aftercommit_domain::contract::ProjectId::as_str);
        let outcome = word(verdict);
        match verdict {
            Verdict::Finish(Outcome::Completed) => {
                tracing::debug!(%topic, task = name, task_id, organization_id, project_id, attempt, "task completed");
            }
            Verdict::Finish(Outcome::Skipped(reason) | Outcome::Cancelled(reason)) => {
                tracing::info!(%topic, task = name, task_id, organization_id, project_id, attempt, %reason, "task {outcome}");
            }
            Verdict::Finish(Outcome::Snoozed(_)) | Verdict::Retry { failure: None, .. } | Verdict::GiveBack => {
                tracing::debug!(%topic, task = name, task_id, organization_id, project_id, attempt, "task {outcome}");
            }
            Verdict::Retry {
                failure: Some(failure),
                after,
                counted,
            } => {
                let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(%topic, task = name, task_id, organization_id, project_id, attempt, counted, after_ms, code = %failure.code, error = %failure, "task failed and will be tried again");
            }
            Verdict::DeadLetter(failure) => {
                tracing::error!(%topic, task = name, task_id, organization_id, project_id, attempt, code = %failure.code, error = %failure, "task is dead");
            }
        }
    }
}
