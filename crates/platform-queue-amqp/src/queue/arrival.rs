//! A message as it arrived.

use std::sync::Arc;

use aftercommit_domain::contract::{Limits, RawTask, TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use lapin::Acker;
use lapin::message::Delivery;
use uuid::Uuid;

use crate::queue::message::{attempts_of, foreign_content};

/// A message that was delivered and not settled.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) task: RawTask,
    /// Counted attempts that ended.
    pub(crate) attempts: u32,
    /// A run of it may have been lost; or it was only fetched ahead by someone.
    pub(crate) redelivered: bool,
    pub(crate) acker: Acker,
}

impl Arrival {
    pub(crate) fn new(topic: &TopicName, delivery: Delivery) -> Self {
        Self {
            attempts: attempts_of(&delivery.properties),
            redelivered: delivery.redelivered,
            acker: delivery.acker,
            task: RawTask {
                topic: topic.clone(),
                foreign_content: foreign_content(&delivery.properties),
                body: Arc::from(delivery.data),
            },
        }
    }

    /// The envelope, if it is one of this topic.
    pub(crate) fn envelope(&self, limits: &Limits) -> Option<TaskEnvelope> {
        if self.task.foreign_content.is_some() {
            return None;
        }
        let task = TaskEnvelope::decode(&self.task.body, limits).ok()?;
        (task.topic == self.task.topic).then_some(task)
    }

    /// Its id, or one made of its bytes, which is the same however often it comes.
    pub(crate) fn id(&self, envelope: Option<&TaskEnvelope>) -> MessageId {
        envelope.map_or_else(|| id_of_bytes(&self.task), |task| task.id)
    }
}

/// The id of what has none that can be read.
pub(crate) fn id_of_bytes(task: &RawTask) -> MessageId {
    let mut name = Vec::with_capacity(task.body.len() + 64);
    name.extend_from_slice(task.topic.as_str().as_bytes());
    name.push(0);
    name.extend_from_slice(&task.body);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &name).into()
}
