//! What an activity knows of its attempt.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::contract::{Cause, Limits, RunId, Tenant};
use crate::effects::IdempotencyKey;
use crate::ids::MessageId;
use crate::tasks::CancellationSignal;
use crate::time::{Clock, Timestamp};
use crate::workflows::{ActivityError, StepNumber, WorkflowId, values};

/// What an activity knows of its attempt.
#[derive(Clone)]
pub struct ActivityContext {
    parts: ActivityContextParts,
}

/// What an [`ActivityContext`] is made of.
#[derive(Clone)]
pub struct ActivityContextParts {
    /// The workflow that asked for it.
    pub workflow_id: WorkflowId,
    /// The run that asked for it.
    pub run_id: RunId,
    /// Which step of the run it is.
    pub activity_id: StepNumber,
    /// This attempt's number, from 1.
    pub attempt: u32,
    /// When this attempt's time is over.
    pub deadline: Timestamp,
    /// What to begin a unit of work or publish with.
    pub cause: Cause,
    /// How far the attempt before had come, as it said with its last heartbeat.
    pub cursor: Option<Value>,
    /// Where heartbeats go, and where a cancellation comes from.
    pub host: Arc<dyn ActivityHost>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The limits of a cursor.
    pub limits: Limits,
}

/// What an engine gives an attempt of an activity.
#[async_trait]
pub trait ActivityHost: CancellationSignal {
    /// The attempt lives, and has come this far. `Ok` means noted, not stored: an engine may store only some of them.
    async fn heartbeat(&self, cursor: Value);
}

impl ActivityContext {
    /// A context of these parts.
    pub const fn new(parts: ActivityContextParts) -> Self {
        Self { parts }
    }

    /// What effects are made unrepeatable with: made of the workflow's id, the run's and the activity's, so it is the same
    /// for every attempt, and another in a new run.
    pub fn idempotency_key(&self) -> IdempotencyKey {
        let ActivityContextParts {
            workflow_id,
            run_id,
            activity_id,
            ..
        } = &self.parts;
        let name = format!("{workflow_id}\u{1f}{run_id}\u{1f}{activity_id}");
        IdempotencyKey::from(MessageId::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes())))
    }

    /// The workflow that asked for it.
    pub const fn workflow_id(&self) -> &WorkflowId {
        &self.parts.workflow_id
    }

    /// The run that asked for it.
    pub const fn run_id(&self) -> &RunId {
        &self.parts.run_id
    }

    /// Whose it is.
    pub const fn tenant(&self) -> &Tenant {
        self.parts.workflow_id.tenant()
    }

    /// This attempt's number, from 1.
    pub const fn attempt(&self) -> u32 {
        self.parts.attempt
    }

    /// When this attempt's time is over.
    pub const fn deadline(&self) -> Timestamp {
        self.parts.deadline
    }

    /// What to begin a unit of work or publish with, so that the tree of causes stays whole.
    pub const fn cause(&self) -> &Cause {
        &self.parts.cause
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// How far the attempt before had come; `None` when it said nothing that can be read.
    pub fn cursor<C: DeserializeOwned>(&self) -> Option<C> {
        let cursor = self.parts.cursor.clone()?;
        serde_json::from_value(cursor).ok()
    }

    /// Says that the attempt lives and has come as far as `cursor`: where the next attempt takes up should this one be lost.
    ///
    /// # Errors
    /// [`ActivityError::Cancelled`] when the activity is to end early; a cursor over the limits of a payload.
    pub async fn heartbeat<C: Serialize + Sync>(&self, cursor: &C) -> Result<(), ActivityError> {
        let cursor = values::write(cursor, &self.parts.limits, "a cursor")?;
        self.parts.host.heartbeat(cursor).await;
        if self.parts.host.is_cancelled() {
            return Err(ActivityError::Cancelled);
        }
        Ok(())
    }

    /// Tells when the attempt should end early: the workflow gave the activity up, or the worker stops.
    pub fn cancellation(&self) -> &dyn CancellationSignal {
        &*self.parts.host
    }
}
