//! Domain events for other systems, on an exchange of their own.

use std::sync::Arc;

use aftercommit_domain::contract::EventEnvelope;
use aftercommit_domain::events::{DOMAIN_EVENTS_TOPIC, EventFeed};
use aftercommit_domain::tasks::PublishError;
use async_trait::async_trait;

use crate::queue::AmqpQueue;
use crate::queue::message::Outgoing;

/// What a CloudEvent in JSON is called.
const CLOUD_EVENT: &str = "application/cloudevents+json";

#[async_trait]
impl EventFeed for AmqpQueue {
    async fn announce(&self, event: &EventEnvelope) -> Result<(), PublishError> {
        let limits = &self.inner.services.limits;
        let body = event.encode();
        if body.len() > limits.envelope_bytes {
            return Err(aftercommit_domain::contract::LimitExceeded::Envelope {
                got: body.len(),
                limit: limits.envelope_bytes,
            }
            .into());
        }
        let message = Outgoing {
            id: event.id,
            topic: DOMAIN_EVENTS_TOPIC,
            // Through one channel for each aggregate, so that they are told of in their order.
            ordering: Some(event.aggregate.to_string()),
            exchange: self.inner.topology.events_exchange(),
            key: event.name.to_string(),
            body: Arc::from(body.into_bytes()),
            content_type: CLOUD_EVENT,
            must_be_routed: false,
            attempts: 0,
            due: None,
            failure: None,
        };
        self.inner.republish(message).await
    }
}
