//! Waits on the broker: levels of 1, 2, 4 … seconds, one after the other as the bits of the wait say.
//!
//! A level is an exchange and a queue. The routing key spells the wait in bits, the highest first, and ends with the topic. A
//! level's exchange sends a message whose bit is set through the level's queue, where it waits, and any other on to the next
//! level at once. So all that waits in one queue waits for the same time, and nothing waits behind something longer.

use std::time::Duration;

use aftercommit_domain::contract::TopicName;

use crate::topology::{Argument, ExchangeKind, Part, Topology};

/// How many levels there are: from 2⁰ to 2¹⁶ seconds.
pub(crate) const LEVELS: u32 = 17;

/// The longest wait; the levels could take a little more.
pub(crate) const LONGEST_DELAY: Duration = Duration::from_hours(24);

/// The wait in whole seconds, never shorter than it is.
fn seconds(wait: Duration) -> u32 {
    let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(whole).unwrap_or(u32::MAX).min((1 << LEVELS) - 1)
}

/// The level a message enters at that waits this long: its highest bit. `None`: it need not wait.
pub(crate) fn entry_level(wait: Duration) -> Option<u32> {
    seconds(wait).checked_ilog2()
}

/// The routing key of a message that waits this long.
pub(crate) fn routing_key(topic: &TopicName, wait: Duration) -> String {
    let seconds = seconds(wait);
    let mut key = String::with_capacity(2 * 17 + topic.as_str().len());
    for level in (0..LEVELS).rev() {
        key.push(if seconds >> level & 1 == 1 { '1' } else { '0' });
        key.push('.');
    }
    key.push_str(topic.as_str());
    key
}

impl Topology {
    /// The exchange and the queue of a level.
    pub(super) fn delay_level(&self, level: u32, unroutable: &str) -> [Part; 2] {
        let name = self.delay_exchange(level);
        let next = match level.checked_sub(1) {
            Some(next) => self.delay_exchange(next),
            None => self.tasks_exchange(),
        };
        let waits = format!("{} s", 1_u64 << level);
        let exchange = Part::exchange(&name, ExchangeKind::Topic, &format!("waits of {waits} and less"))
            .with("alternate-exchange", Argument::Text(unroutable.into()));
        let exchange = match level + 1 {
            LEVELS => exchange,
            above => exchange.bound(&self.delay_exchange(above), &passed_on(above)),
        };
        let queue = Part::queue(&name, &format!("tasks that wait {waits}"))
            .with("x-message-ttl", Argument::Number(1000 << level))
            .with("x-max-length", Argument::Number(super::MOST_ASIDE))
            .with("x-delivery-limit", Argument::Number(super::DELIVERY_LIMIT))
            .with("x-dead-letter-exchange", Argument::Text(next))
            .kept_until_taken()
            .bound(&name, &format!("{}1.#", ahead(level)));
        [exchange, queue]
    }
}

/// What stands in a routing key before the bit of a level.
fn ahead(level: u32) -> String {
    "*.".repeat((LEVELS - 1 - level) as usize)
}

/// What a level sends on to the next at once.
pub(super) fn passed_on(level: u32) -> String {
    format!("{}0.#", ahead(level))
}
