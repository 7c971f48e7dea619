//! Activities: where workflows touch the world.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::contract::ActivityName;
use crate::failure::Classified;
use crate::tasks::RetryPolicy;
use crate::time::{self, Timestamp};
use crate::workflows::{ActivityContext, WorkflowFailure};

/// One kind of effect of workflows.
///
/// **Delivery**: at least once. An attempt may run again after it succeeded, when its worker died before that was recorded;
/// effects take [`ActivityContext::idempotency_key`]. The future is dropped when the attempt's time is over or its worker
/// stops, at any await.
///
/// # Errors
/// A [`Classified`] error is tried again or not by its class through `?`. A panic counts as a failed attempt.
#[async_trait]
pub trait Activity: Send + Sync + 'static {
    /// Its name, the same for ever: histories hold it.
    const NAME: ActivityName;
    /// What it is given. It is kept in histories: ids and facts, never secrets.
    type Input: Serialize + DeserializeOwned + Send + 'static;
    /// What it answers. It is kept in histories.
    type Output: Serialize + DeserializeOwned + Send + 'static;

    /// Does it once.
    async fn run(&self, input: Self::Input, ctx: &ActivityContext) -> Result<Self::Output, ActivityError>;
}

/// How long an activity may take, and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ActivityOptions {
    /// How long one attempt may take. Defaults to 60 s.
    pub start_to_close: Duration,
    /// How long all attempts and the waits between them may take. Defaults to `None`: no such time.
    pub schedule_to_close: Option<Duration>,
    /// An attempt that gives no sign of life for this long is lost, and the next one begins with its cursor. Defaults to
    /// `None`: none is expected.
    pub heartbeat: Option<Duration>,
    /// When a failed attempt is tried again, and how many there are at most.
    pub retry: RetryPolicy,
}

impl Default for ActivityOptions {
    fn default() -> Self {
        Self {
            start_to_close: time::minutes(1),
            schedule_to_close: None,
            heartbeat: None,
            retry: RetryPolicy::default(),
        }
    }
}

impl ActivityOptions {
    /// The usual ones, but tried at most this often.
    pub fn attempts(max_attempts: u32) -> Self {
        Self {
            retry: RetryPolicy {
                max_attempts,
                ..RetryPolicy::default()
            },
            ..Self::default()
        }
    }

    /// How long to wait for the next attempt after attempt number `attempt` (from 1) failed at `now`; `None` when that was
    /// the last. Decided in this one place. `jitter` is in `0.0..1.0`.
    pub fn next_attempt(&self, failed: &FailedAttempt<'_>, jitter: f64) -> Option<Duration> {
        if !failed.failure.retryable || failed.attempt >= self.retry.max_attempts {
            return None;
        }
        let wait = failed
            .retry_after
            .unwrap_or_else(|| self.retry.delay(failed.attempt, jitter));
        let in_time = self
            .schedule_to_close
            .is_none_or(|longest| time::after(failed.now, wait) < time::after(failed.scheduled_at, longest));
        in_time.then_some(wait)
    }
}

/// An attempt that failed.
#[derive(Debug, Clone, Copy)]
pub struct FailedAttempt<'a> {
    /// Why.
    pub failure: &'a WorkflowFailure,
    /// When the other side said how long to wait.
    pub retry_after: Option<Duration>,
    /// Its number, from 1.
    pub attempt: u32,
    /// When the activity was asked for.
    pub scheduled_at: Timestamp,
    /// When it failed.
    pub now: Timestamp,
}

/// How an attempt of an activity ends other than by its answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ActivityError {
    /// It failed; the failure says whether it is tried again.
    Failed {
        /// Why.
        failure: WorkflowFailure,
        /// When the other side said how long to wait.
        retry_after: Option<Duration>,
    },
    /// It was told to end early, and did.
    Cancelled,
}

/// Any classified error ends the attempt by its class.
impl<E: Classified> From<E> for ActivityError {
    fn from(error: E) -> Self {
        Self::Failed {
            retry_after: error.retry_after(),
            failure: error.into(),
        }
    }
}

impl From<WorkflowFailure> for ActivityError {
    fn from(failure: WorkflowFailure) -> Self {
        Self::Failed {
            failure,
            retry_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(
        options: ActivityOptions,
        failure: &WorkflowFailure,
        attempt: u32,
        retry_after: Option<Duration>,
    ) -> Option<u64> {
        let failed = FailedAttempt {
            failure,
            retry_after,
            attempt,
            scheduled_at: Timestamp::UNIX_EPOCH,
            now: time::after(Timestamp::UNIX_EPOCH, time::seconds(10)),
        };
        options.next_attempt(&failed, 1.0).map(|wait| wait.as_secs())
    }

    #[test]
    fn an_activity_is_tried_again_as_long_as_its_failure_its_attempts_and_its_time_allow() {
        let (no, not_yet) = (
            WorkflowFailure::permanent("x", "no"),
            WorkflowFailure::retryable("x", "not yet"),
        );
        let three = ActivityOptions::attempts(3);
        let timed = |seconds| ActivityOptions {
            schedule_to_close: Some(time::seconds(seconds)),
            ..three
        };
        assert_eq!(wait(three, &not_yet, 1, None), Some(2));
        assert_eq!(wait(three, &not_yet, 2, None), Some(4));
        assert_eq!(wait(three, &not_yet, 3, None), None, "the last attempt");
        assert_eq!(wait(three, &no, 1, None), None, "it would fail again");
        assert_eq!(
            wait(three, &not_yet, 1, Some(time::seconds(30))),
            Some(30),
            "as the other side said"
        );
        assert_eq!(wait(timed(13), &not_yet, 1, None), Some(2));
        assert_eq!(wait(timed(12), &not_yet, 1, None), None, "its time would be over");
    }
}
