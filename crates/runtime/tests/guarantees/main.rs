//! What the loops promise, one test for each sentence, over the provider in memory with faults on purpose.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test are tests themselves: what cannot be unwrapped fails them"
)]

mod bad_enqueues;
mod bulk;
mod dispatcher;
mod lifecycle;
mod limits;
mod metrics;
mod registry;
mod relay;
mod rescuer;
mod scheduler;
mod shutdown;
mod support;
mod worker;
mod workflow_requests;
