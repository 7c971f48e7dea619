//! The loop of one topic: take a task when a handler is free, run it, settle it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Limits, TaskEnvelope, TaskName, TopicName, WorkerName};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    AttemptEnd, ConsumeOptions, Deliveries, Delivery, Patience, QueueConsumer, RetryPolicy, settle,
};
use aftercommit_domain::time::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::health::LoopHealth;
use crate::lifecycle::{Round, Shutdown};
use crate::orders::{Orders, RunningTask};
use crate::worker::attempt::{self, AttemptServices};
use crate::worker::isolation::{Isolation, Running};
use crate::worker::parked::Parked;
use crate::worker::registry::{RegisteredHandler, RegisteredTopic};
use crate::worker::settle::{carry_out, log};
use crate::worker::topic_metrics::{OutcomeCounters, TopicMetrics};

/// A consumer that failed before counts as well again after this long without an error.
const QUIET: Duration = Duration::from_secs(1);
/// How long it may take the queue to note that a task runs alone, while nothing else runs; and the rest after it did not.
const BEGIN: Duration = Duration::from_secs(2);

/// Takes the tasks of one topic and runs their handlers.
pub(crate) struct TopicLoop {
    shared: Arc<Shared>,
    consumer: Arc<dyn QueueConsumer>,
    options: ConsumeOptions,
    permits: Arc<Semaphore>,
}

/// What a topic's loop needs.
pub(crate) struct TopicLoopPorts {
    /// Where tasks come from.
    pub(crate) consumer: Arc<dyn QueueConsumer>,
    /// For jitter.
    pub(crate) randomness: Arc<dyn Randomness>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The limits of envelopes.
    pub(crate) limits: Limits,
    /// The stages of a stop.
    pub(crate) shutdown: Shutdown,
    /// Who takes the tasks.
    pub(crate) worker: WorkerName,
    /// How long a delivery stays this worker's without a sign of life.
    pub(crate) lease: Duration,
    /// How long what is not known here waits for a build that knows it.
    pub(crate) patience: Patience,
    /// What runs beside what; one for all topics of the process.
    pub(crate) isolation: Arc<Isolation>,
    /// What people ordered; one for all topics of the process.
    pub(crate) orders: Arc<Orders>,
}

struct Shared {
    topic: TopicName,
    runners: HashMap<TaskName, Runner>,
    services: AttemptServices,
    randomness: Arc<dyn Randomness>,
    isolation: Arc<Isolation>,
    orders: Arc<Orders>,
    metrics: TopicMetrics,
}

/// What runs one kind of task, and counts how that ends.
struct Runner {
    handler: RegisteredHandler,
    ended: OutcomeCounters,
}

impl TopicLoop {
    pub(crate) fn new(topic: RegisteredTopic, ports: TopicLoopPorts) -> Self {
        let TopicLoopPorts {
            consumer,
            randomness,
            clock,
            limits,
            shutdown,
            worker,
            lease,
            patience,
            isolation,
            orders,
        } = ports;
        let RegisteredTopic {
            name,
            concurrency,
            prefetch,
            handlers,
        } = topic;
        let runners = handlers.into_iter().map(|(task, handler)| {
            let ended = OutcomeCounters::new(&name, task.as_str());
            (task, Runner { handler, ended })
        });
        Self {
            consumer,
            options: ConsumeOptions {
                worker,
                prefetch,
                lease,
            },
            permits: Arc::new(Semaphore::new(concurrency)),
            shared: Arc::new(Shared {
                runners: runners.collect(),
                services: AttemptServices {
                    clock,
                    limits,
                    shutdown,
                    parked: Parked::new(patience),
                },
                randomness,
                isolation,
                orders,
                metrics: TopicMetrics::new(&name),
                topic: name,
            }),
        }
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &TopicName {
        &self.shared.topic
    }

    /// Consumes until `stop` is cancelled. Tells `health` that it works as soon as that is known.
    ///
    /// # Errors
    /// The queue is away. Running attempts go on; their settling fails or waits by itself.
    pub(crate) async fn round(&self, health: &LoopHealth, stop: &CancellationToken) -> Result<Round, Failure> {
        let orders = &self.shared.orders;
        if orders.is_paused(self.topic()) {
            health.succeeded();
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Round::Over),
            () = orders.until_open(self.topic()) => {}
        }
        let consuming = self.consumer.consume(self.topic(), self.options.clone());
        let mut deliveries = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Round::Over),
            deliveries = consuming => deliveries.map_err(|error| Failure::of(&error))?,
        };
        let result = tokio::select! {
            biased;
            () = orders.until_paused(self.topic()) => Ok(Round::Again),
            result = self.take(&mut *deliveries, health, stop) => result,
        };
        deliveries.stop().await;
        result
    }

    async fn take(
        &self,
        deliveries: &mut dyn Deliveries,
        health: &LoopHealth,
        stop: &CancellationToken,
    ) -> Result<Round, Failure> {
        // After a failure, a consumer that only starts proves nothing: it could fail at its first task each time.
        let mut is_proven = !health.is_failing();
        if is_proven {
            health.succeeded();
        }
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
                next = deliveries.next() => Some(next.map_err(|error| Failure::of(&error))?),
                () = sleep(QUIET), if !is_proven => None,
            };
            match next {
                Some(Some(delivery)) => self.start(delivery, permit),
                Some(None) => return Err(ended_by_itself(self.topic())),
                None => {}
            }
            if !is_proven {
                is_proven = true;
                health.succeeded();
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

/// A consumer that ends without having been stopped has lost its queue.
fn ended_by_itself(topic: &TopicName) -> Failure {
    Failure::new(
        "queue.ended",
        ErrorClass::Outage,
        format!("the consumer of {topic} ended without having been stopped"),
    )
}

impl Shared {
    async fn attempt(&self, delivery: Box<dyn Delivery>, permit: OwnedSemaphorePermit) {
        failpoint!(WORKER_AFTER_CLAIM);
        let attempt = delivery.attempt();
        let task = match attempt::read(delivery.task(), &self.topic, &self.services.limits) {
            Ok(task) => Arc::new(task),
            Err(failure) => {
                let end = AttemptEnd::Unreadable(failure);
                return self.refuse(delivery, permit, end, None, None).await;
            }
        };
        let Some(Runner { handler, ended }) = self.runners.get(&task.task) else {
            let end = self.services.unknown(&task, attempt::unknown(&self.topic, &task));
            return self.refuse(delivery, permit, end, Some(&task), None).await;
        };
        if attempt == 1 {
            self.record_wait(&task);
        }
        let span = attempt::span(&task, attempt);
        failpoint!(WORKER_AFTER_DECODE);
        // What is not to be run need not wait for its turn, nor for the others when it would run alone.
        if let Some(end) = self.orders.forbids(&self.topic, &task) {
            return self.refuse(delivery, permit, end, Some(&task), Some(ended)).await;
        }
        let begun = self.begin(&*delivery, permit).instrument(span.clone()).await;
        let end = match &begun {
            Some(_) => {
                self.run_as_ordered(&task, handler, attempt)
                    .instrument(span.clone())
                    .await
            }
            None => AttemptEnd::Interrupted,
        };
        let (place, permit) = begun.map_or((None, None), |(place, permit)| (Some(place), permit));
        let verdict = settle(end, attempt, &handler.retry, self.randomness.unit());
        ended.count(&verdict);
        span.in_scope(|| log(&verdict));
        // The handler is free for the next task while this one is being settled; prefetch bounds how many are.
        drop(permit);
        carry_out(delivery, &verdict, &span, &self.metrics.settle_failures).await;
        // Until its end is written, its run would be lost with the process.
        drop(place);
    }

    /// Runs the task, unless an order says otherwise.
    async fn run_as_ordered(&self, task: &Arc<TaskEnvelope>, handler: &RegisteredHandler, attempt: u32) -> AttemptEnd {
        // It may have waited.
        if let Some(end) = self.orders.forbids(&self.topic, task) {
            return end;
        }
        let order = self.orders.begin(task.id).await;
        match order.is_cancelled() {
            Some(reason) => AttemptEnd::Cancelled(reason),
            None => self.run(task, handler, attempt, &order).await,
        }
    }

    async fn run(
        &self,
        task: &Arc<TaskEnvelope>,
        handler: &RegisteredHandler,
        attempt: u32,
        order: &RunningTask,
    ) -> AttemptEnd {
        let started = Instant::now();
        let running = self.metrics.running();
        let end = attempt::run(task, handler, attempt, &self.services, order).await;
        drop(running);
        failpoint!(WORKER_AFTER_HANDLER);
        self.metrics.run_seconds.record(started.elapsed().as_secs_f64());
        end
    }

    /// Waits until the task may run, beside others or alone. `None` when it is not to run here any more.
    async fn begin(
        &self,
        delivery: &dyn Delivery,
        permit: OwnedSemaphorePermit,
    ) -> Option<(Running<'_>, Option<OwnedSemaphorePermit>)> {
        let waiting = async {
            if delivery.must_run_alone() {
                self.begin_alone(delivery, permit).await
            } else {
                self.begin_beside(delivery, permit).await
            }
        };
        tokio::select! {
            biased;
            begun = waiting => begun,
            () = self.services.shutdown.stop_token().cancelled() => None,
        }
    }

    async fn begin_beside(
        &self,
        delivery: &dyn Delivery,
        permit: OwnedSemaphorePermit,
    ) -> Option<(Running<'_>, Option<OwnedSemaphorePermit>)> {
        let place = self.isolation.beside().await;
        // It may have waited for longer than its lease.
        delivery.is_held().then_some((place, Some(permit)))
    }

    async fn begin_alone(
        &self,
        delivery: &dyn Delivery,
        permit: OwnedSemaphorePermit,
    ) -> Option<(Running<'_>, Option<OwnedSemaphorePermit>)> {
        // Alone it needs none, and while it waits for that another task of its topic can run.
        let permits = Arc::clone(permit.semaphore());
        drop(permit);
        let Some(place) = self.isolation.alone().await else {
            tracing::warn!(
                "a task whose runs were lost again and again runs beside others: something here does not end"
            );
            let permit = permits.acquire_owned().await.ok()?;
            return self.begin_beside(delivery, permit).await;
        };
        tracing::warn!("a task whose runs were lost again and again runs with nothing beside it");
        let reason = match timeout(BEGIN, delivery.begin_alone()).await {
            Ok(Ok(())) => return Some((place, None)),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the queue does not answer".into(),
        };
        drop(place);
        tracing::warn!(error = reason, "it is not run here now");
        sleep(BEGIN).await;
        None
    }

    /// Settles what is not run here.
    async fn refuse(
        &self,
        delivery: Box<dyn Delivery>,
        permit: OwnedSemaphorePermit,
        end: AttemptEnd,
        task: Option<&TaskEnvelope>,
        known: Option<&OutcomeCounters>,
    ) {
        let attempt = delivery.attempt();
        let verdict = settle(end, attempt, &RetryPolicy::default(), self.randomness.unit());
        known.unwrap_or(&self.metrics.unknown).count(&verdict);
        let span = task.map_or_else(
            || tracing::error_span!("task.run", topic = self.topic.as_str(), attempt),
            |task| attempt::span(task, attempt),
        );
        span.in_scope(|| log(&verdict));
        drop(permit);
        carry_out(delivery, &verdict, &span, &self.metrics.settle_failures).await;
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
}
