//! Publishing events: what the relay does with outbox rows, and the direct rail for producers whose upstream write is
//! already durable.

use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{
    AggregateRef, Cause, EncodeError, EnvelopeFactory, EventEnvelope, Json, Limits, OrderKey, TaskEnvelope, TaskName,
    Tenant, TopicName,
};
use crate::events::DomainEvent;
use crate::ids::MessageId;
use crate::tasks::{PublishError, QueuePublisher, TaskContext};

/// The topic every event goes through, ordered by aggregate.
pub const DOMAIN_EVENTS_TOPIC: TopicName = TopicName::constant("domain-events");
/// The one task of that topic: look up the routes of an event and publish what follows.
pub const DISPATCH_TASK: TaskName = TaskName::constant("dispatch");

/// Publishes events to the `domain-events` topic.
///
/// **Contract**: one result per event, in input order; `Ok` means the queue has it durably. Events of one aggregate keep
/// their input order; when one fails, the later ones of its aggregate fail too. The envelope reaches the dispatcher
/// unchanged. An event published twice has one id, so consumers can tell.
#[async_trait]
pub trait EventsPublisher: Send + Sync {
    /// Publishes `events`.
    async fn publish(&self, events: Vec<EventEnvelope>) -> Vec<Result<(), PublishError>>;
}

/// What users publish with on the direct rail: typed events.
#[async_trait]
pub trait EventsPublisherExt: EventsPublisher {
    /// Publishes one event without an outbox row. Only where the state it tells of is already durable elsewhere.
    async fn publish_direct<E: DomainEvent>(
        &self,
        envelopes: &EnvelopeFactory,
        event: E,
        cause: &Cause,
    ) -> Result<MessageId, PublishError> {
        let id = envelopes.new_id();
        self.publish_as(envelopes, id, event, cause).await
    }

    /// Publishes one event from within a handler, under an id that comes from the task's id, the event's name and `key`: a
    /// task that comes again publishes the same event and not another one. `key` tells apart events of one name; it must be
    /// the same in every run, so it is something of the event and never a counter of what was done so far.
    async fn publish_from_task<E: DomainEvent>(
        &self,
        envelopes: &EnvelopeFactory,
        event: E,
        key: &str,
        ctx: &TaskContext,
    ) -> Result<MessageId, PublishError> {
        let id = ctx.task_id().derive(&format!("{}\u{1f}{key}", E::NAME));
        self.publish_as(envelopes, id, event, ctx.cause()).await
    }

    /// Publishes one event under this id.
    #[doc(hidden)]
    async fn publish_as<E: DomainEvent>(
        &self,
        envelopes: &EnvelopeFactory,
        id: MessageId,
        event: E,
        cause: &Cause,
    ) -> Result<MessageId, PublishError> {
        let envelope = envelopes.event(id, &event, cause).map_err(PublishError::from_encode)?;
        self.publish(vec![envelope])
            .await
            .pop()
            .unwrap_or_else(|| Err(PublishError::unanswered()))?;
        Ok(id)
    }
}

impl<P: EventsPublisher + ?Sized> EventsPublisherExt for P {}

/// The events publisher over a queue.
pub fn create_events_publisher(queue: Arc<dyn QueuePublisher>, limits: Limits) -> Arc<dyn EventsPublisher> {
    Arc::new(QueueEventsPublisher { queue, limits })
}

struct QueueEventsPublisher {
    queue: Arc<dyn QueuePublisher>,
    limits: Limits,
}

#[async_trait]
impl EventsPublisher for QueueEventsPublisher {
    async fn publish(&self, events: Vec<EventEnvelope>) -> Vec<Result<(), PublishError>> {
        let mut results: Vec<Option<Result<(), PublishError>>> = Vec::with_capacity(events.len());
        let mut tasks = Vec::with_capacity(events.len());
        let mut stopped: Vec<(Tenant, AggregateRef)> = Vec::new();
        for event in events {
            // What follows an event that cannot be published waits with it, so that the aggregate stays in order.
            if stopped
                .iter()
                .any(|(tenant, aggregate)| *tenant == event.tenant && *aggregate == event.aggregate)
            {
                results.push(Some(Err(PublishError::Blocked)));
                continue;
            }
            match dispatch_envelope(&event, &self.limits) {
                Ok(task) => {
                    tasks.push(task);
                    results.push(None);
                }
                Err(error) => {
                    stopped.push((event.tenant, event.aggregate));
                    results.push(Some(Err(PublishError::from_encode(error))));
                }
            }
        }
        let mut published = self.queue.publish(tasks).await.into_iter();
        results
            .into_iter()
            .map(|decided| match decided {
                Some(result) => result,
                // A publisher that answers fewer results than messages leaves the rest unknown: they are tried again.
                None => published
                    .next()
                    .unwrap_or_else(|| Err(PublishError::unanswered()))
                    .map(|_| ()),
            })
            .collect()
    }
}

/// The task that carries an event to the dispatcher: same id, same tenant, ordered by aggregate, CloudEvents inside.
pub fn dispatch_envelope(event: &EventEnvelope, limits: &Limits) -> Result<TaskEnvelope, EncodeError> {
    let contract = || event.name.to_string();
    event.payload.check_limits(limits).map_err(|limit| EncodeError::Json {
        contract: contract(),
        source: limit.into(),
    })?;
    let payload = Json::parse(event.encode(), &limits.of_carried_event()).map_err(|source| EncodeError::Json {
        contract: contract(),
        source,
    })?;
    let order_key = OrderKey::new(event.aggregate.to_string()).map_err(|source| EncodeError::Name {
        contract: contract(),
        source,
    })?;
    Ok(TaskEnvelope {
        id: event.id,
        topic: DOMAIN_EVENTS_TOPIC,
        task: DISPATCH_TASK,
        version: 1,
        tenant: event.tenant.clone(),
        attempt: 1,
        enqueued_at: event.occurred_at,
        first_enqueued_at: event.occurred_at,
        not_before: None,
        deadline: None,
        order_key: Some(order_key),
        coalescing: None,
        slot: None,
        cause: event.cause.clone(),
        payload,
    })
}
