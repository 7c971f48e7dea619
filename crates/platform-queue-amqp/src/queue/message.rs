//! A task as a message on the wire.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Clock, Timestamp, after};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};

use crate::declarer::short;
use crate::topology::{Topology, entry_level, routing_key};
use crate::trouble::Trouble;

/// How many attempts were counted.
pub(crate) const ATTEMPTS: &str = "aftercommit-attempts";
/// When it may run, in microseconds since 1970: for people and tests, the levels it waits in decide.
pub(crate) const DUE_AT: &str = "aftercommit-due-at";
/// Why it failed last.
pub(crate) const FAILURE: &str = "aftercommit-failure";
/// What a body is.
pub(crate) const CONTENT_TYPE: &str = "application/json";
/// A message outlives a restart of the broker.
const PERSISTENT: u8 = 2;
/// More attempts than any policy allows: who says more says nothing.
const MOST_ATTEMPTS: u32 = 1_000_000;
/// How much of a failure travels with a message.
const FAILURE_BYTES: usize = 200;

/// A message to publish.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) id: MessageId,
    pub(crate) topic: TopicName,
    /// What it is ordered by, on topics that keep an order.
    pub(crate) ordering: Option<String>,
    pub(crate) exchange: String,
    pub(crate) key: String,
    pub(crate) body: Arc<[u8]>,
    pub(crate) content_type: &'static str,
    /// Whether it comes back when it has nowhere to go.
    pub(crate) must_be_routed: bool,
    pub(crate) attempts: u32,
    pub(crate) due: Option<Timestamp>,
    pub(crate) failure: Option<String>,
}

impl Outgoing {
    /// A task that goes to its queue at once.
    pub(crate) fn direct(topology: &Topology, task: &TaskEnvelope, ordering: Option<String>, body: Arc<[u8]>) -> Self {
        let key = match &ordering {
            Some(ordering) => topology.direct_key(&task.topic, ordering),
            None => topology.direct_key(&task.topic, &task.id.to_string()),
        };
        Self {
            id: task.id,
            topic: task.topic.clone(),
            ordering,
            exchange: topology.publish_exchange(),
            key,
            body,
            content_type: CONTENT_TYPE,
            must_be_routed: true,
            attempts: 0,
            due: None,
            failure: None,
        }
    }

    /// The same, after a wait of more than nothing.
    pub(crate) fn after(mut self, wait: Duration, topology: &Topology, clock: &dyn Clock) -> Self {
        if let Some(level) = entry_level(wait) {
            self.exchange = topology.delay_exchange(level);
            self.key = routing_key(&self.topic, wait);
            self.due = Some(after(clock.now(), wait));
        }
        self
    }

    /// Its bytes on the wire, about.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len() + 512
    }

    pub(crate) fn properties(&self) -> Result<BasicProperties, Trouble> {
        let mut headers = FieldTable::default();
        if self.attempts > 0 {
            headers.insert(ATTEMPTS.into(), AMQPValue::LongLongInt(self.attempts.into()));
        }
        if let Some(due) = self.due {
            headers.insert(DUE_AT.into(), AMQPValue::LongLongInt(due.timestamp_micros()));
        }
        if let Some(failure) = &self.failure {
            let end = failure.floor_char_boundary(FAILURE_BYTES);
            headers.insert(FAILURE.into(), AMQPValue::LongString(failure[..end].into()));
        }
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type(self.content_type.into())
            .with_message_id(short(&self.id.to_string())?);
        Ok(if headers.inner().is_empty() {
            properties
        } else {
            properties.with_headers(headers)
        })
    }
}

/// The counted attempts a message tells of. What is no number, or none that can be true, is none.
pub(crate) fn attempts_of(properties: &BasicProperties) -> u32 {
    let told = properties
        .headers()
        .as_ref()
        .and_then(|headers| headers.inner().get(ATTEMPTS));
    let attempts = match told {
        Some(AMQPValue::LongLongInt(attempts)) => u32::try_from(*attempts).ok(),
        Some(AMQPValue::LongInt(attempts)) => u32::try_from(*attempts).ok(),
        Some(AMQPValue::LongUInt(attempts)) => Some(*attempts),
        Some(AMQPValue::ShortInt(attempts)) => u32::try_from(*attempts).ok(),
        Some(AMQPValue::ShortUInt(attempts)) => Some((*attempts).into()),
        Some(AMQPValue::ShortShortInt(attempts)) => u32::try_from(*attempts).ok(),
        Some(AMQPValue::ShortShortUInt(attempts)) => Some((*attempts).into()),
        Some(_) | None => None,
    };
    attempts.filter(|attempts| *attempts <= MOST_ATTEMPTS).unwrap_or(0)
}

/// What a message says its body is, where that is not JSON as it is. One that says nothing is taken at its bytes.
pub(crate) fn foreign_content(properties: &BasicProperties) -> Option<String> {
    let said = |text: &lapin::types::ShortString| text.as_str().trim().to_ascii_lowercase();
    let encoding = properties.content_encoding().as_ref().map(said);
    let encoding = encoding.filter(|encoding| !matches!(encoding.as_str(), "" | "identity" | "utf-8" | "utf8"));
    let kind = properties.content_type().as_ref().map(said).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim_end();
    let is_json = essence.is_empty() || essence == "application/json" || essence.ends_with("+json");
    match (is_json, encoding) {
        (true, None) => None,
        (false, None) => Some(kind),
        (_, Some(encoding)) => Some(format!("{kind} {encoding}").trim_start().to_owned()),
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_unless_its_sender_says_otherwise() {
        let of = |kind: &str, encoding: &str| {
            let properties = BasicProperties::default().with_content_type(kind.into());
            foreign_content(&properties.with_content_encoding(encoding.into()))
        };
        assert_eq!(foreign_content(&BasicProperties::default()), None);
        for kind in [
            "",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/cloudevents+json",
        ] {
            assert_eq!(of(kind, ""), None, "{kind}");
        }
        assert_eq!(of("text/plain", "").as_deref(), Some("text/plain"));
        assert_eq!(of("application/json", "gzip").as_deref(), Some("application/json gzip"));
    }

    /// Other versions and other languages read it: what is here once stays.
    #[test]
    fn what_travels_with_a_message_is_what_it_always_was() {
        let message = Outgoing {
            id: "0192f0c1-7a3b-7c4d-8e5f-0123456789ab".parse().unwrap(),
            topic: TopicName::constant("letters"),
            ordering: None,
            exchange: "aftercommit.delay.1".into(),
            key: "letters".into(),
            body: Arc::from(b"{}".as_slice()),
            content_type: CONTENT_TYPE,
            must_be_routed: true,
            attempts: 2,
            due: Some(Timestamp::UNIX_EPOCH),
            failure: Some("no".into()),
        };
        insta::assert_debug_snapshot!(message.properties().unwrap());
    }

    #[test]
    fn forged_attempts_are_none() {
        let of = |value| {
            let mut headers = FieldTable::default();
            headers.insert(ATTEMPTS.into(), value);
            attempts_of(&BasicProperties::default().with_headers(headers))
        };
        assert_eq!(of(AMQPValue::LongLongInt(7)), 7);
        assert_eq!(of(AMQPValue::ShortShortUInt(7)), 7);
        for forged in [
            AMQPValue::LongLongInt(1 << 31),
            AMQPValue::LongLongInt(-1),
            AMQPValue::LongString("7".into()),
            AMQPValue::Double(7.0),
            AMQPValue::Void,
        ] {
            assert_eq!(of(forged.clone()), 0, "{forged:?}");
        }
        assert_eq!(attempts_of(&BasicProperties::default()), 0);
    }
}
