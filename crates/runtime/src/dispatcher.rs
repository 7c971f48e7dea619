//! The dispatcher: what an event leads to, by the table. It decides nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aftercommit_domain::contract::{DecodeError, EnvelopeFactory, EventEnvelope, TaskEnvelope};
use aftercommit_domain::events::{Dispatch, EventFeed, EventLog, RouteEffect, RouteError, Routes};
use aftercommit_domain::failure::{Classified, ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    DeadLetter, DeadLetters, PublishError, Published, QueuePublisher, Stop, TaskContext, TaskResult, completed,
};
use async_trait::async_trait;
use futures::future::join;
use metrics::{counter, describe_counter};
use tokio::time::{sleep, timeout};

use crate::lifecycle::Backoff;
use crate::worker::EnvelopeHandler;

/// How often a dispatch is tried within one attempt before the event goes back to its topic.
const TRIES: u32 = 4;
/// The longest one publish may take. A queue that hangs is an outage, which must not look like an event's own fault.
const PUBLISH_DEADLINE: Duration = Duration::from_secs(10);

/// Runs the one task of `domain-events`: looks an event's routes up and publishes what follows.
///
/// A redelivered event yields the same dispatch ids. One failing dispatch does not stop the others: it alone is tried
/// again, also when its event comes back to this process; in another one, the others are published again under their
/// ids. One that can never be published becomes a dead letter of its own. One of best effort is tried once, with the others,
/// and dropped when that fails.
pub struct Dispatcher {
    routes: Arc<Routes>,
    envelopes: EnvelopeFactory,
    queue: Arc<dyn QueuePublisher>,
    event_log: Arc<dyn EventLog>,
    feed: Option<Arc<dyn EventFeed>>,
    dead_letters: Arc<dyn DeadLetters>,
    backoff: Backoff,
    unfinished: Unfinished,
}

/// What the dispatcher needs.
pub struct DispatcherPorts {
    /// Makes and seals the envelopes of what follows.
    pub envelopes: EnvelopeFactory,
    /// Where tasks go.
    pub queue: Arc<dyn QueuePublisher>,
    /// Where events of the direct rail are kept.
    pub event_log: Arc<dyn EventLog>,
    /// Where other systems hear of events, if they do.
    pub feed: Option<Arc<dyn EventFeed>>,
    /// Where dispatches go that can never be published.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// For jitter.
    pub randomness: Arc<dyn Randomness>,
}

impl Dispatcher {
    /// A dispatcher by this table.
    pub fn new(routes: Arc<Routes>, ports: DispatcherPorts) -> Self {
        let DispatcherPorts {
            envelopes,
            queue,
            event_log,
            feed,
            dead_letters,
            randomness,
        } = ports;
        describe_counter!(
            "aftercommit_best_effort_dropped_total",
            "Dispatches of best effort that were dropped because they could not be published at the first try"
        );
        let targets = routes.entries().iter().filter_map(|route| match &route.effect {
            RouteEffect::Dispatches(targets) => Some(targets),
            RouteEffect::None(_) => None,
        });
        for target in targets.flatten() {
            counter!("aftercommit_best_effort_dropped_total", "topic" => target.topic.to_string()).increment(0);
        }
        Self {
            routes,
            envelopes,
            queue,
            event_log,
            feed,
            dead_letters,
            backoff: Backoff::new(randomness),
            unfinished: Unfinished::default(),
        }
    }

    async fn dispatch(&self, event: &EventEnvelope) -> Result<TaskResult, DecodeError> {
        // An event of the transactional rail was logged when the relay marked its row.
        if event.sequence.is_none()
            && let Err(error) = self.event_log.record(std::slice::from_ref(event)).await
        {
            return Ok(Err(error.into()));
        }
        match self.routes.dispatch(event, self.envelopes.codec()) {
            Ok(dispatches) => Ok(self.follow(event, dispatches).await),
            Err(RouteError::Decode(error)) => Err(error),
            Err(error @ (RouteError::Key { .. } | RouteError::Duplicate { .. })) => Ok(Err(Stop::Failed {
                failure: Failure::new("route.invalid", ErrorClass::Permanent, error.to_string()),
                retry_after: None,
            })),
        }
    }

    async fn follow(&self, event: &EventEnvelope, dispatches: Vec<(MessageId, Dispatch)>) -> TaskResult {
        if event.sequence.is_none() {
            failpoint!(DISPATCHER_AFTER_RECORD?);
        }
        let mut done = self.unfinished.take(event.id);
        let mut unmade = None;
        let mut best_effort = Vec::new();
        let mut tasks = Vec::with_capacity(dispatches.len());
        for (id, dispatch) in dispatches {
            if done.contains(&id) {
                continue;
            }
            if dispatch.is_best_effort() {
                best_effort.push(id);
            }
            match dispatch.envelope(&self.envelopes, id, event) {
                Ok(task) => tasks.push(task),
                Err(error) => {
                    tracing::error!(event = %event.name, target = %dispatch.target(), %error, "a dispatch cannot be made");
                    if !dispatch.is_best_effort() {
                        unmade = Some(Stop::from(error));
                    }
                }
            }
        }
        failpoint!(DISPATCHER_BEFORE_PUBLISH);
        let (published, announced) = join(self.publish(tasks, &best_effort, &mut done), self.announce(event)).await;
        if let Err(stop) = published.and(announced) {
            self.unfinished.keep(event.id, done);
            return Err(stop);
        }
        failpoint!(DISPATCHER_AFTER_PUBLISH);
        // Only now, so that the others are on their way.
        unmade.map_or_else(completed, Err)
    }

    /// Tells other systems, where that is asked for.
    async fn announce(&self, event: &EventEnvelope) -> Result<(), Stop> {
        let Some(feed) = &self.feed else { return Ok(()) };
        let unanswered = PublishError::Unknown {
            reason: "no answer".into(),
        };
        let announced = timeout(PUBLISH_DEADLINE, feed.announce(event)).await;
        Ok(announced.unwrap_or(Err(unanswered))?)
    }

    /// Publishes `tasks`; adds the ids of those that need nothing more to `done`.
    async fn publish(
        &self,
        mut tasks: Vec<TaskEnvelope>,
        best_effort: &[MessageId],
        done: &mut Vec<MessageId>,
    ) -> Result<(), Stop> {
        for attempt in 1..=TRIES {
            if tasks.is_empty() {
                return Ok(());
            }
            // Nothing answered in time leaves all of them unknown.
            let results = timeout(PUBLISH_DEADLINE, self.queue.publish(tasks.clone()))
                .await
                .unwrap_or_default();
            let failed = self.after_publish(tasks, results, best_effort, done).await?;
            let Some((_, last)) = failed.last() else { return Ok(()) };
            if attempt == TRIES {
                return Err(last.clone().into());
            }
            tracing::warn!(dispatches = failed.len(), error = %last, "dispatches failed and are tried again");
            tasks = failed.into_iter().map(|(task, _)| task).collect();
            sleep(self.backoff.delay(attempt)).await;
        }
        Ok(())
    }

    /// What failed and may succeed later. What never can is kept as a dead letter.
    async fn after_publish(
        &self,
        tasks: Vec<TaskEnvelope>,
        results: Vec<Result<Published, PublishError>>,
        best_effort: &[MessageId],
        done: &mut Vec<MessageId>,
    ) -> Result<Vec<(TaskEnvelope, PublishError)>, Stop> {
        let unanswered = || {
            Err(PublishError::Unknown {
                reason: "no answer".into(),
            })
        };
        let mut results = results.into_iter();
        let mut failed = Vec::new();
        let mut unburied = None;
        for task in tasks {
            let id = task.id;
            let Err(error) = results.next().unwrap_or_else(unanswered) else {
                done.push(id);
                continue;
            };
            if best_effort.contains(&id) {
                counter!("aftercommit_best_effort_dropped_total", "topic" => task.topic.to_string()).increment(1);
                tracing::warn!(topic = %task.topic, task = %task.task, task_id = %id, %error, "a dispatch of best effort was dropped");
                done.push(id);
                continue;
            }
            match error.class() {
                ErrorClass::Permanent => match self.bury(task, &error).await {
                    Ok(()) => done.push(id),
                    Err(stop) => unburied = Some(stop),
                },
                ErrorClass::Retryable | ErrorClass::Outage | ErrorClass::RateLimited => failed.push((task, error)),
            }
        }
        // Only now, so that it is known of all the others what became of them.
        unburied.map_or(Ok(failed), Err)
    }

    async fn bury(&self, task: TaskEnvelope, error: &PublishError) -> Result<(), Stop> {
        tracing::error!(topic = %task.topic, task = %task.task, task_id = %task.id, %error, "a dispatch can never be published");
        let (id, topic, body) = (task.id, task.topic.clone(), task.encode().into_bytes());
        let now = self.envelopes.now();
        let letter = DeadLetter::new(id, topic, Some(task), body, 1, Failure::of(error), now);
        self.dead_letters.add(letter).await?;
        failpoint!(DISPATCHER_AFTER_DEAD_LETTER?);
        Ok(())
    }
}

#[async_trait]
impl EnvelopeHandler for Dispatcher {
    async fn handle(&self, task: &TaskEnvelope, _ctx: &TaskContext) -> Result<TaskResult, DecodeError> {
        let event = EventEnvelope::decode(task.payload.as_str().as_bytes(), self.envelopes.codec().limits())?;
        if event.tenant != task.tenant {
            return Err(DecodeError::TenantMismatch {
                contract: event.name.to_string(),
                envelope: task.tenant.clone(),
                payload: event.tenant,
            });
        }
        self.dispatch(&event).await
    }
}

/// Which dispatches of events that failed in part need nothing more. Only a memory of this process: without it they are
/// published again under the same ids.
#[derive(Default)]
struct Unfinished {
    events: Mutex<VecDeque<(MessageId, Vec<MessageId>)>>,
}

impl Unfinished {
    /// Events beyond this many are forgotten, the oldest first.
    const MOST: usize = 1024;

    /// What is done of this event; empty when nothing is known.
    fn take(&self, event: MessageId) -> Vec<MessageId> {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let at = events.iter().position(|(id, _)| *id == event);
        at.and_then(|at| events.remove(at))
            .map(|(_, done)| done)
            .unwrap_or_default()
    }

    fn keep(&self, event: MessageId, done: Vec<MessageId>) {
        if done.is_empty() {
            return;
        }
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == Self::MOST {
            events.pop_front();
        }
        events.push_back((event, done));
    }
}
