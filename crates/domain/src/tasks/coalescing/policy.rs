//! The policies: which of several publishes of one key is the task, and when it runs.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::tasks::{InvalidCoalescing, LONGEST_DELAY};

/// What becomes of a publish whose key has been published before.
///
/// Whatever it is, the last publish is covered by a run that starts after it, except where the policy says that it is
/// dropped ([`Once`](Self::Once), and [`WhileActive`](Self::WhileActive) with [`WhenActive::Skip`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CoalescingPolicy {
    /// One waiting task per key: a newer publish replaces its payload and its time. Goes with a delay or a time.
    Replace,
    /// The first wins; further ones within `ttl` are dropped, whether it is done by then or not.
    Once {
        /// For how long, from the first publish on.
        #[serde(rename = "ttl_ms", with = "milliseconds")]
        ttl: Duration,
    },
    /// Dropped while one of its key waits, also for a retry. A publish while it runs makes the next one.
    WhilePending,
    /// Dropped while one of its key waits or runs.
    WhileActive {
        /// What follows from what was published while one ran.
        then: WhenActive,
    },
    /// Runs once there was no publish for `quiet`, with the last payload.
    Debounce {
        /// How long it must have been quiet.
        #[serde(rename = "quiet_ms", with = "milliseconds")]
        quiet: Duration,
        /// At the latest this long after the first publish. `None` for however long.
        #[serde(
            rename = "max_wait_ms",
            with = "optional_milliseconds",
            default,
            skip_serializing_if = "Option::is_none"
        )]
        max_wait: Option<Duration>,
    },
    /// The first publish fixes the time, `every` from then, and the payload. Later ones until then are dropped.
    Throttle {
        /// How long after the first publish it runs.
        #[serde(rename = "every_ms", with = "milliseconds")]
        every: Duration,
    },
    /// The first publish fixes the time, `every` from then; the last one until then the payload.
    LatestThrottle {
        /// How long after the first publish it runs.
        #[serde(rename = "every_ms", with = "milliseconds")]
        every: Duration,
    },
}

/// What follows from what was published while a task of its key ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenActive {
    /// Nothing.
    Skip,
    /// One more run after it, with the last payload.
    RunAgainOnce,
}

impl CoalescingPolicy {
    /// Its name in messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Once { .. } => "once",
            Self::WhilePending => "while-pending",
            Self::WhileActive { .. } => "while-active",
            Self::Debounce { .. } => "debounce",
            Self::Throttle { .. } => "throttle",
            Self::LatestThrottle { .. } => "latest-throttle",
        }
    }

    /// Whether it says itself when its task runs.
    pub(crate) const fn sets_the_time(&self) -> bool {
        match self {
            Self::Debounce { .. } | Self::Throttle { .. } | Self::LatestThrottle { .. } => true,
            Self::Replace | Self::Once { .. } | Self::WhilePending | Self::WhileActive { .. } => false,
        }
    }

    /// Whether its tasks of one key run one after the other.
    pub const fn runs_one_after_another(&self) -> bool {
        matches!(
            self,
            Self::WhileActive {
                then: WhenActive::RunAgainOnce
            }
        )
    }

    /// Whether a task of it has a window: it is closed by its time, by the next one, or when the task is taken, and until then
    /// further publishes change the task or are dropped. The others go by what became of the task.
    pub const fn has_window(&self) -> bool {
        match self {
            Self::Replace
            | Self::Debounce { .. }
            | Self::Throttle { .. }
            | Self::LatestThrottle { .. }
            | Self::WhileActive {
                then: WhenActive::RunAgainOnce,
            } => true,
            Self::Once { .. } | Self::WhilePending | Self::WhileActive { then: WhenActive::Skip } => false,
        }
    }

    /// Refuses times that cannot be meant.
    pub(super) fn check_times(&self) -> Result<(), InvalidCoalescing> {
        let policy = self.name();
        let check = |field, got: Duration| {
            if got < Duration::from_millis(1) || got > LONGEST_DELAY {
                return Err(InvalidCoalescing::Time { policy, field, got });
            }
            Ok(())
        };
        match *self {
            Self::Replace | Self::WhilePending | Self::WhileActive { .. } => Ok(()),
            Self::Once { ttl } => check("ttl", ttl),
            Self::Throttle { every } | Self::LatestThrottle { every } => check("every", every),
            Self::Debounce { quiet, max_wait: None } => check("quiet", quiet),
            Self::Debounce {
                quiet,
                max_wait: Some(max_wait),
            } => {
                check("quiet", quiet)?;
                check("max_wait", max_wait)?;
                if max_wait < quiet {
                    return Err(InvalidCoalescing::NeverQuiet { quiet, max_wait });
                }
                Ok(())
            }
        }
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

mod optional_milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::milliseconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}
