//! What the broker gave up, and what had nowhere to go, becomes dead letters in the database.

use std::sync::Arc;

use aftercommit_domain::contract::{RawTask, TopicName};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{ConsumeError, DeadLetter};
use lapin::options::{BasicAckOptions, BasicGetOptions};

use crate::declarer::short;
use crate::link::CALL_LIMIT;
use crate::queue::Inner;
use crate::queue::arrival::Arrival;
use crate::queue::consumer::unavailable;
use crate::queue::delivery::requeue;
use crate::topology::Topology;
use crate::trouble::{Trouble, TroubleKind};

/// The most messages of one call, so that whoever calls can stop.
const AT_ONCE: usize = 1000;
/// After this many that could not be kept, the database is not asked any more.
const MOST_LEFT: usize = 10;
/// Where a message is kept whose topic cannot be told.
const UNKNOWN_TOPIC: TopicName = TopicName::constant("unknown");

impl Inner {
    /// Moves what waits in the queues of dead and of unroutable messages into the dead letters. Answers how many.
    pub(crate) async fn drain(&self) -> Result<u64, ConsumeError> {
        let dead = Failure::new(
            "broker.gave_up",
            ErrorClass::Permanent,
            "the broker delivered it too often without a result",
        );
        let unroutable = Failure::new(
            "queue.unroutable",
            ErrorClass::Permanent,
            "the broker had no queue for its routing key",
        );
        let mut drained = 0;
        let mut trouble = None;
        for (queue, failure) in [
            (self.topology.dead_queue(), dead),
            (self.topology.unroutable_queue(), unroutable),
        ] {
            // What spoils the one need not spoil the other.
            match self.drain_queue(&queue, &failure).await {
                Ok(count) => drained += count,
                Err(error) => trouble = Some(error),
            }
        }
        trouble.map_or(Ok(drained), Err)
    }

    async fn drain_queue(&self, queue: &str, failure: &Failure) -> Result<u64, ConsumeError> {
        let failed = |trouble: Trouble| unavailable("drain", &trouble);
        let epoch = self.consuming.now().map_err(failed)?;
        let channel = epoch.channel().await.map_err(failed)?;
        let mut drained = 0;
        let mut left = Vec::new();
        for _ in 0..AT_ONCE {
            let getting = channel.basic_get(short(queue).map_err(failed)?, BasicGetOptions::default());
            let message = match epoch.within(CALL_LIMIT, "take a message", getting).await {
                Ok(Some(message)) => message,
                Ok(None) => break,
                // Nobody has declared it yet.
                Err(trouble) if trouble.kind == TroubleKind::Missing => break,
                Err(trouble) => return Err(failed(trouble)),
            };
            let key = message.delivery.routing_key.to_string();
            let topic = Topology::topic_of(&key).unwrap_or(UNKNOWN_TOPIC);
            let arrival = Arrival::new(&topic, message.delivery);
            match self.keep(&arrival, &key, failure).await {
                Ok(()) => {
                    failpoint!(DRAIN_AFTER_WRITE);
                    drained += 1;
                    // When it is not taken the message comes again, and replaces its letter.
                    let _ = arrival.acker.ack(BasicAckOptions::default()).await;
                }
                // It goes back when those behind it have had their turn.
                Err(error) => left.push((arrival, error)),
            }
            if left.len() > MOST_LEFT {
                break;
            }
        }
        let mut trouble = None;
        for (arrival, error) in left {
            requeue(&epoch, &arrival.acker).await;
            trouble = Some(error);
        }
        trouble.map_or(Ok(drained), Err)
    }

    async fn keep(&self, arrival: &Arrival, key: &str, failure: &Failure) -> Result<(), ConsumeError> {
        let envelope = arrival.envelope(&self.services.limits);
        let RawTask { topic, body, .. } = arrival.task.clone();
        let letter = DeadLetter::new(
            arrival.id(envelope.as_ref()),
            topic,
            envelope,
            body.to_vec(),
            arrival.attempts,
            failure.clone(),
            self.services.clock.now(),
        );
        tracing::warn!(topic = %letter.topic, id = %letter.id, routing_key = key.escape_debug().to_string(), code = %failure.code, "a message became a dead letter");
        let dead_letters = Arc::clone(&self.stores.dead_letters);
        let added = dead_letters.add(letter).await;
        added.map_err(|error| unavailable("drain", &error))
    }
}
