//! The envelopes on the wire: golden JSON that is written exactly so and read for ever, and the exact answer to each bad
//! input.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod read;
mod written;

use aftercommit_domain::contract::{DecodeError, EventEnvelope, Limits, TaskEnvelope};

const EVENT: &str = include_str!("golden/event.json");
const EVENT_MINIMAL: &str = include_str!("golden/event_minimal.json");
const TASK: &str = include_str!("golden/task.json");
const TASK_OF_SLOT: &str = include_str!("golden/task_of_slot.json");
const TASK_MINIMAL: &str = include_str!("golden/task_minimal.json");

fn decode_event(body: &[u8]) -> Result<EventEnvelope, DecodeError> {
    EventEnvelope::decode(body, &Limits::default())
}

fn decode_task(body: &[u8]) -> Result<TaskEnvelope, DecodeError> {
    TaskEnvelope::decode(body, &Limits::default())
}
