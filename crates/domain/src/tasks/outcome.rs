//! What an attempt comes to: one pure function decides, the worker only carries it out.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Classified, ErrorClass, Failure, bounded_text};
use crate::tasks::{RetryPolicy, TaskResult};

/// How a handler ends when nothing went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "detail")]
pub enum Outcome {
    /// Done.
    Completed,
    /// Nothing to do any more: the state moved on. Recorded with its reason.
    Skipped(Reason),
    /// Must not run any more. Recorded with its reason.
    Cancelled(Reason),
    /// Not yet, and nobody's fault: again after this time, without counting an attempt.
    Snoozed(Duration),
}

/// How a handler ends early: made by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// There is nothing to do; ends as [`Outcome::Skipped`].
    Skip(Reason),
    /// An earlier run has done it; ends as [`Outcome::Completed`].
    Done,
    /// Failed; what becomes of it depends on the failure's class and the attempts left.
    Failed {
        /// What went wrong.
        failure: Failure,
        /// When the other side said how long to wait.
        retry_after: Option<Duration>,
    },
}

/// Any classified error ends the attempt by its class.
impl<E: Classified> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed {
            failure: Failure::of(&error),
            retry_after: error.retry_after(),
        }
    }
}

/// Why something ended as it did: bounded text for people, without personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// Cuts `text` to what is kept.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(bounded_text(text.as_ref()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an attempt ended, as the worker saw it.
#[derive(Debug)]
pub enum AttemptEnd {
    /// The handler returned.
    Returned(TaskResult),
    /// It took longer than it may; its future was dropped.
    TimedOut(Duration),
    /// It panicked with this message.
    Panicked(String),
    /// The bytes are no task a handler here can read.
    Unreadable(Failure),
    /// Nothing here knows it, or not in this version; a newer build may.
    Unknown {
        /// What is not known.
        failure: Failure,
        /// When to look again; `None` when nobody came who knows it.
        again: Option<Duration>,
    },
    /// Its deadline had passed before it started.
    Expired,
    /// A stop was asked for before it finished.
    Interrupted,
    /// Somebody ordered that it is not to be run any more, and it has not done its work.
    Cancelled(Reason),
    /// A pause holds it; it has not begun.
    Paused,
}

/// What is to be done with the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is over; record the outcome (never a snooze).
    Finish(Outcome),
    /// Again after this time.
    Retry {
        /// How long to wait.
        after: Duration,
        /// Whether it was an attempt.
        counted: bool,
        /// Why; `None` for a snooze.
        failure: Option<Failure>,
    },
    /// Given up; keep it as a dead letter.
    DeadLetter(Failure),
    /// Back to the queue at once, as if it had not been taken.
    GiveBack,
    /// Aside until no pause holds it any more.
    SetAside,
}

/// Decides what becomes of a delivery. `attempt` is this attempt's number from 1, `jitter` is in `0.0..1.0`.
pub fn settle(end: AttemptEnd, attempt: u32, policy: &RetryPolicy, jitter: f64) -> Verdict {
    match end {
        AttemptEnd::Returned(Ok(Outcome::Snoozed(after))) => Verdict::Retry {
            after,
            counted: false,
            failure: None,
        },
        AttemptEnd::Returned(Ok(outcome @ (Outcome::Completed | Outcome::Skipped(_) | Outcome::Cancelled(_)))) => {
            Verdict::Finish(outcome)
        }
        AttemptEnd::Returned(Err(Stop::Skip(reason))) => Verdict::Finish(Outcome::Skipped(reason)),
        AttemptEnd::Returned(Err(Stop::Done)) => Verdict::Finish(Outcome::Completed),
        AttemptEnd::Returned(Err(Stop::Failed { failure, retry_after })) => {
            after_failure(failure, retry_after, attempt, policy, jitter)
        }
        AttemptEnd::TimedOut(limit) => {
            let failure = Failure::new(
                "handler.timed_out",
                ErrorClass::Retryable,
                format!("timed out after {limit:?}"),
            );
            after_failure(failure, None, attempt, policy, jitter)
        }
        AttemptEnd::Panicked(message) => {
            let failure = Failure::new(
                "handler.panicked",
                ErrorClass::Retryable,
                format!("panicked: {message}"),
            );
            after_failure(failure, None, attempt, policy, jitter)
        }
        AttemptEnd::Unreadable(failure) => match failure.class {
            ErrorClass::Permanent => Verdict::DeadLetter(failure),
            ErrorClass::Retryable | ErrorClass::Outage | ErrorClass::RateLimited => {
                after_failure(failure, None, attempt, policy, jitter)
            }
        },
        AttemptEnd::Unknown { failure, again: None } => Verdict::DeadLetter(failure),
        AttemptEnd::Unknown {
            failure,
            again: Some(after),
        } => Verdict::Retry {
            after,
            counted: false,
            failure: Some(failure),
        },
        AttemptEnd::Expired => Verdict::Finish(Outcome::Skipped(Reason::new(
            "its deadline had passed before it started",
        ))),
        AttemptEnd::Interrupted => Verdict::GiveBack,
        AttemptEnd::Cancelled(reason) => Verdict::Finish(Outcome::Cancelled(reason)),
        AttemptEnd::Paused => Verdict::SetAside,
    }
}

fn after_failure(
    failure: Failure,
    retry_after: Option<Duration>,
    attempt: u32,
    policy: &RetryPolicy,
    jitter: f64,
) -> Verdict {
    let after = retry_after.unwrap_or_else(|| policy.delay(attempt, jitter));
    match failure.class {
        ErrorClass::Permanent => Verdict::DeadLetter(failure),
        ErrorClass::Retryable if attempt >= policy.max_attempts => Verdict::DeadLetter(failure),
        ErrorClass::Retryable => Verdict::Retry {
            after,
            counted: true,
            failure: Some(failure),
        },
        ErrorClass::Outage | ErrorClass::RateLimited => Verdict::Retry {
            after,
            counted: false,
            failure: Some(failure),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: ErrorClass) -> AttemptEnd {
        AttemptEnd::Returned(Err(Stop::Failed {
            failure: Failure::new("x", class, "no"),
            retry_after: None,
        }))
    }

    fn unknown(again: Option<Duration>) -> AttemptEnd {
        let failure = Failure::new("handler.unknown", ErrorClass::Permanent, "no");
        AttemptEnd::Unknown { failure, again }
    }

    fn shape(end: AttemptEnd, attempt: u32) -> &'static str {
        match settle(
            end,
            attempt,
            &RetryPolicy {
                max_attempts: 3,
                ..RetryPolicy::default()
            },
            0.5,
        ) {
            Verdict::Finish(Outcome::Completed) => "completed",
            Verdict::Finish(Outcome::Skipped(_)) => "skipped",
            Verdict::Finish(Outcome::Cancelled(_)) => "cancelled",
            Verdict::Finish(Outcome::Snoozed(_)) => "never",
            Verdict::Retry { counted: true, .. } => "retry",
            Verdict::Retry { counted: false, .. } => "retry uncounted",
            Verdict::DeadLetter(_) => "dead",
            Verdict::GiveBack => "given back",
            Verdict::SetAside => "set aside",
        }
    }

    #[test]
    fn every_way_an_attempt_ends_has_its_verdict() {
        let table: Vec<(AttemptEnd, u32, &str)> = vec![
            (AttemptEnd::Returned(Ok(Outcome::Completed)), 1, "completed"),
            (
                AttemptEnd::Returned(Ok(Outcome::Skipped(Reason::new("gone")))),
                1,
                "skipped",
            ),
            (
                AttemptEnd::Returned(Ok(Outcome::Cancelled(Reason::new("no")))),
                1,
                "cancelled",
            ),
            (
                AttemptEnd::Returned(Ok(Outcome::Snoozed(Duration::from_secs(1)))),
                9,
                "retry uncounted",
            ),
            (AttemptEnd::Returned(Err(Stop::Skip(Reason::new("gone")))), 9, "skipped"),
            (AttemptEnd::Returned(Err(Stop::Done)), 9, "completed"),
            (failed(ErrorClass::Retryable), 2, "retry"),
            (failed(ErrorClass::Retryable), 3, "dead"),
            (failed(ErrorClass::Outage), 3, "retry uncounted"),
            (failed(ErrorClass::RateLimited), 3, "retry uncounted"),
            (failed(ErrorClass::Permanent), 1, "dead"),
            (AttemptEnd::TimedOut(Duration::from_mins(1)), 1, "retry"),
            (AttemptEnd::TimedOut(Duration::from_mins(1)), 3, "dead"),
            (AttemptEnd::Panicked("boom".into()), 1, "retry"),
            (AttemptEnd::Panicked("boom".into()), 3, "dead"),
            (
                AttemptEnd::Unreadable(Failure::new("x", ErrorClass::Permanent, "no")),
                1,
                "dead",
            ),
            (
                AttemptEnd::Unreadable(Failure::new("x", ErrorClass::Retryable, "not yet")),
                1,
                "retry",
            ),
            (unknown(Some(Duration::from_secs(15))), 9, "retry uncounted"),
            (unknown(None), 1, "dead"),
            (AttemptEnd::Expired, 1, "skipped"),
            (AttemptEnd::Interrupted, 3, "given back"),
            (AttemptEnd::Cancelled(Reason::new("no")), 3, "cancelled"),
            (AttemptEnd::Paused, 3, "set aside"),
        ];
        for (end, attempt, expected) in table {
            let what = format!("{end:?} at attempt {attempt}");
            assert_eq!(shape(end, attempt), expected, "{what}");
        }
    }

    #[test]
    fn a_retry_after_from_the_other_side_is_honoured() {
        let end = AttemptEnd::Returned(Err(Stop::Failed {
            failure: Failure::new("x", ErrorClass::RateLimited, "slow down"),
            retry_after: Some(Duration::from_secs(77)),
        }));
        let verdict = settle(end, 1, &RetryPolicy::default(), 0.0);
        assert!(matches!(verdict, Verdict::Retry { after, .. } if after == Duration::from_secs(77)));
    }
}
