//! Makes the messages of the scenarios.

use aftercommit_domain::contract::{
    AggregateRef, AggregateType, Cause, EventEnvelope, EventName, Json, Limits, OrderKey, TaskEnvelope, TaskName,
    Tenant, TopicName,
};
use aftercommit_domain::events::OutboxMessage;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Clock;

use crate::fakes::TestServices;

/// Makes messages with new ids, at the services' time.
pub struct Messages<'a> {
    services: &'a TestServices,
    tenant: Tenant,
}

/// The topic of most scenarios.
pub(crate) const TOPIC: TopicName = TopicName::constant("letters");
/// Another one.
pub(crate) const OTHER_TOPIC: TopicName = TopicName::constant("parcels");

impl<'a> Messages<'a> {
    /// Messages of organization 1, project 10.
    pub fn new(services: &'a TestServices) -> Self {
        Self::of(services, Tenant::project(1_i64, 10_i64))
    }

    /// Messages of `tenant`.
    pub const fn of(services: &'a TestServices, tenant: Tenant) -> Self {
        Self { services, tenant }
    }

    fn id(&self) -> MessageId {
        self.services.envelopes.new_id()
    }

    fn cause(id: MessageId) -> Cause {
        Cause {
            correlation: Some(id.into()),
            ..Cause::root()
        }
    }

    /// An event about `aggregate`.
    pub fn event(&self, aggregate: &str) -> EventEnvelope {
        self.event_named("LetterWritten", aggregate)
    }

    /// An event of this name about `aggregate`.
    pub fn event_named(&self, name: &'static str, aggregate: &str) -> EventEnvelope {
        let id = self.id();
        EventEnvelope {
            id,
            name: EventName::constant(name),
            version: 1,
            source: "/test".into(),
            aggregate: AggregateRef::new(AggregateType::constant("letter"), aggregate),
            occurred_at: self.services.clock.now(),
            tenant: self.tenant.clone(),
            sequence: None,
            cause: Self::cause(id),
            payload: json(r#"{"letter":1}"#),
        }
    }

    /// An event about `aggregate` for the outbox.
    pub fn row(&self, aggregate: &str) -> OutboxMessage {
        OutboxMessage::Event(self.event(aggregate))
    }

    /// A task of the usual topic.
    pub fn task(&self) -> TaskEnvelope {
        let (id, now) = (self.id(), self.services.clock.now());
        TaskEnvelope {
            id,
            topic: TOPIC,
            task: TaskName::constant("send"),
            version: 1,
            tenant: self.tenant.clone(),
            attempt: 1,
            enqueued_at: now,
            first_enqueued_at: now,
            not_before: None,
            deadline: None,
            order_key: None,
            coalescing: None,
            slot: None,
            cause: Self::cause(id),
            payload: json(r#"{"letter":1}"#),
        }
    }

    /// A task that runs one after another with the others of `key`.
    pub fn ordered_task(&self, key: &str) -> TaskEnvelope {
        TaskEnvelope {
            order_key: Some(OrderKey::new(key).expect("a key of a scenario is valid")),
            ..self.task()
        }
    }

    /// `count` tasks.
    pub fn tasks(&self, count: usize) -> Vec<TaskEnvelope> {
        (0..count).map(|_| self.task()).collect()
    }

    /// A task whose envelope is over the limit.
    pub fn too_large_task(&self) -> TaskEnvelope {
        TaskEnvelope {
            payload: too_large(self.services.codec.limits()),
            ..self.task()
        }
    }

    /// An event whose envelope is over the limit.
    pub fn too_large_event(&self, aggregate: &str) -> EventEnvelope {
        EventEnvelope {
            payload: too_large(self.services.codec.limits()),
            ..self.event(aggregate)
        }
    }
}

fn json(text: impl Into<String>) -> Json {
    let limits = Limits {
        payload_bytes: usize::MAX,
        ..Limits::default()
    };
    Json::parse(text, &limits).expect("the JSON of a scenario is valid")
}

fn too_large(limits: &Limits) -> Json {
    json(format!("\"{}\"", "x".repeat(limits.envelope_bytes)))
}
