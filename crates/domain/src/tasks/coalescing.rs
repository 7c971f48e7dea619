//! Coalescing: when several publishes of one key are one task, and which of them it is.

mod decision;
mod part;
mod plan;
mod policy;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::{CoalescingKey, TaskEnvelope, TaskName, Tenant};
use crate::tasks::LONGEST_DELAY;

pub use decision::{CoalescingDecision, CoalescingState, OpenWindow, decide};
pub use part::next_part;
pub use plan::{CoalescingCandidate, CoalescingPlan, KnownKey, KnownTask, NewWindow, WindowKey};
pub use policy::{CoalescingPolicy, WhenActive};

/// Publishes under one key of one tenant and task become fewer tasks, as the policy says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coalescing {
    /// What is the same thing to be done. Scoped by organization, project, topic and task.
    pub key: CoalescingKey,
    /// What becomes of a publish when there was one before.
    pub policy: CoalescingPolicy,
}

/// A policy that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCoalescing {
    /// A time of nothing, or one nobody lives to see.
    #[error("{field} of {policy} is {got:?}: a millisecond at least, and at most {} days", LONGEST_DELAY.as_secs() / 86_400)]
    Time {
        /// The policy.
        policy: &'static str,
        /// Which of its times.
        field: &'static str,
        /// What it was.
        got: Duration,
    },
    /// It would always be over before it was quiet.
    #[error("max_wait of debounce is {max_wait:?}, which is shorter than quiet, {quiet:?}")]
    NeverQuiet {
        /// How long it must have been quiet.
        quiet: Duration,
        /// At the latest after this.
        max_wait: Duration,
    },
    /// Two times for one task.
    #[error("{policy} says when its task runs, so that it has no delay and no time of its own")]
    TwoTimes {
        /// The policy.
        policy: &'static str,
    },
    /// Two orders for one task.
    #[error("while-active, run again once, keeps the order of its key, so that it has no order key of its own")]
    TwoOrders,
}

impl InvalidCoalescing {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Time { .. } => "coalescing.time",
            Self::NeverQuiet { .. } => "coalescing.never_quiet",
            Self::TwoTimes { .. } => "coalescing.two_times",
            Self::TwoOrders => "coalescing.two_orders",
        }
    }
}

impl Coalescing {
    /// [`CoalescingPolicy::Replace`].
    pub fn replace(key: impl fmt::Display) -> Self {
        Self::by(key, CoalescingPolicy::Replace)
    }

    /// [`CoalescingPolicy::Once`].
    pub fn once(key: impl fmt::Display, ttl: Duration) -> Self {
        Self::by(key, CoalescingPolicy::Once { ttl })
    }

    /// [`CoalescingPolicy::WhilePending`].
    pub fn while_pending(key: impl fmt::Display) -> Self {
        Self::by(key, CoalescingPolicy::WhilePending)
    }

    /// [`CoalescingPolicy::WhileActive`].
    pub fn while_active(key: impl fmt::Display, then: WhenActive) -> Self {
        Self::by(key, CoalescingPolicy::WhileActive { then })
    }

    /// [`CoalescingPolicy::Debounce`], at the latest after `max_wait` if there is one.
    pub fn debounce(key: impl fmt::Display, quiet: Duration, max_wait: impl Into<Option<Duration>>) -> Self {
        let max_wait = max_wait.into();
        Self::by(key, CoalescingPolicy::Debounce { quiet, max_wait })
    }

    /// [`CoalescingPolicy::Throttle`].
    pub fn throttle(key: impl fmt::Display, every: Duration) -> Self {
        Self::by(key, CoalescingPolicy::Throttle { every })
    }

    /// [`CoalescingPolicy::LatestThrottle`].
    pub fn latest_throttle(key: impl fmt::Display, every: Duration) -> Self {
        Self::by(key, CoalescingPolicy::LatestThrottle { every })
    }

    fn by(key: impl fmt::Display, policy: CoalescingPolicy) -> Self {
        let key = CoalescingKey::of(key);
        Self { key, policy }
    }

    /// Refuses what cannot be meant, alone or of this task.
    pub(crate) fn check(&self, has_time: bool, has_order: bool) -> Result<(), InvalidCoalescing> {
        self.policy.check_times()?;
        if has_time && self.policy.sets_the_time() {
            return Err(InvalidCoalescing::TwoTimes {
                policy: self.policy.name(),
            });
        }
        if has_order && self.policy.runs_one_after_another() {
            return Err(InvalidCoalescing::TwoOrders);
        }
        Ok(())
    }
}

impl TaskEnvelope {
    /// What its coalescing key means to a store: scoped by tenant and task. Unique per topic. No part of it holds control
    /// characters, so the separator cannot occur in them.
    pub fn window_scope(&self) -> Option<String> {
        let Coalescing { key, .. } = self.coalescing.as_ref()?;
        Some(window_scope(&self.tenant, &self.task, key))
    }
}

pub(super) fn window_scope(tenant: &Tenant, task: &TaskName, key: &CoalescingKey) -> String {
    let organization = tenant.organization_id().map_or("", |id| id.as_str());
    let project = tenant.project_id().map_or("", |id| id.as_str());
    format!("{organization}\u{1f}{project}\u{1f}{task}\u{1f}{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_code() {
        let years = LONGEST_DELAY + SECOND;
        for (coalescing, has_time, has_order, code) in [
            (Coalescing::once("a", Duration::ZERO), false, false, "coalescing.time"),
            (Coalescing::once("a", years), false, false, "coalescing.time"),
            (
                Coalescing::throttle("a", Duration::from_micros(999)),
                false,
                false,
                "coalescing.time",
            ),
            (
                Coalescing::latest_throttle("a", Duration::ZERO),
                false,
                false,
                "coalescing.time",
            ),
            (
                Coalescing::debounce("a", Duration::ZERO, None),
                false,
                false,
                "coalescing.time",
            ),
            (
                Coalescing::debounce("a", SECOND, Duration::ZERO),
                false,
                false,
                "coalescing.time",
            ),
            (
                Coalescing::debounce("a", SECOND * 2, SECOND),
                false,
                false,
                "coalescing.never_quiet",
            ),
            (
                Coalescing::debounce("a", SECOND, None),
                true,
                false,
                "coalescing.two_times",
            ),
            (Coalescing::throttle("a", SECOND), true, false, "coalescing.two_times"),
            (
                Coalescing::latest_throttle("a", SECOND),
                true,
                false,
                "coalescing.two_times",
            ),
            (
                Coalescing::while_active("a", WhenActive::RunAgainOnce),
                false,
                true,
                "coalescing.two_orders",
            ),
        ] {
            let refused = coalescing.check(has_time, has_order).unwrap_err();
            assert_eq!(refused.code(), code, "{coalescing:?}");
        }
        for coalescing in [
            Coalescing::replace("a"),
            Coalescing::once("a", LONGEST_DELAY),
            Coalescing::while_pending("a"),
            Coalescing::while_active("a", WhenActive::Skip),
        ] {
            coalescing.check(true, true).unwrap();
        }
        Coalescing::debounce("a", SECOND, SECOND).check(false, true).unwrap();
    }

    #[test]
    fn each_policy_is_written_as_it_always_was() {
        for (coalescing, json) in [
            (Coalescing::replace("a"), r#"{"key":"a","policy":"replace"}"#),
            (
                Coalescing::once("a", SECOND),
                r#"{"key":"a","policy":{"once":{"ttl_ms":1000}}}"#,
            ),
            (
                Coalescing::while_pending("a"),
                r#"{"key":"a","policy":"while_pending"}"#,
            ),
            (
                Coalescing::while_active("a", WhenActive::RunAgainOnce),
                r#"{"key":"a","policy":{"while_active":{"then":"run_again_once"}}}"#,
            ),
            (
                Coalescing::debounce("a", SECOND, None),
                r#"{"key":"a","policy":{"debounce":{"quiet_ms":1000}}}"#,
            ),
            (
                Coalescing::debounce("a", SECOND, SECOND * 5),
                r#"{"key":"a","policy":{"debounce":{"quiet_ms":1000,"max_wait_ms":5000}}}"#,
            ),
            (
                Coalescing::throttle("a", SECOND),
                r#"{"key":"a","policy":{"throttle":{"every_ms":1000}}}"#,
            ),
            (
                Coalescing::latest_throttle("a", SECOND),
                r#"{"key":"a","policy":{"latest_throttle":{"every_ms":1000}}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&coalescing).unwrap(), json);
            assert_eq!(serde_json::from_str::<Coalescing>(json).unwrap(), coalescing);
        }
        for unknown in [
            r#"{"key":"a","policy":"sometimes"}"#,
            r#"{"key":"","policy":"replace"}"#,
            r#"{"key":"a","policy":{"throttle":{"every_ms":1000,"latest":true}}}"#,
            r#"{"key":"a","policy":"replace","delay":5}"#,
        ] {
            assert!(serde_json::from_str::<Coalescing>(unknown).is_err(), "{unknown}");
        }
    }
}
