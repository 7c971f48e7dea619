//! What a task is, and how it may be published.

use std::time::Duration;

use serde::Serialize;

use crate::contract::{Contract, OrderKey, Scope, TaskName, TopicName};
use crate::tasks::{Coalescing, RetryPolicy};
use crate::time::{self, Timestamp};

/// The contract of a unit of work. Derived:
///
/// ```
/// use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// use aftercommit_domain::tasks::Task;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Task)]
/// #[task(topic = "receipts", name = "send", version = 1)]
/// struct SendReceipt {
///     organization_id: OrganizationId,
///     project_id: ProjectId,
///     invoice_id: i64,
/// }
/// ```
///
/// What the topic's configuration does not say, the contract may. `order_key` names the field whose text orders the
/// tasks. The rules for tenants and versions are those of [`DomainEvent`](crate::events::DomainEvent).
///
/// ```
/// use std::time::Duration;
///
/// use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// use aftercommit_domain::tasks::Task;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Task)]
/// #[task(topic = "reports", name = "render", version = 1, order_key = report_id, timeout_secs = 300, max_attempts = 5)]
/// struct RenderReport {
///     organization_id: OrganizationId,
///     project_id: ProjectId,
///     report_id: i64,
/// }
///
/// let task = RenderReport { organization_id: 7.into(), project_id: 8.into(), report_id: 9 };
/// assert_eq!(task.order_key().unwrap().as_str(), "9");
/// assert_eq!(RenderReport::timeout(), Some(Duration::from_secs(300)));
/// assert_eq!(RenderReport::retry_policy().max_attempts, 5);
/// ```
pub trait Task: Contract {
    /// The topic that owns it.
    const TOPIC: TopicName;
    /// Its name within the topic.
    const NAME: TaskName;

    /// Tasks of one tenant, topic and order key run one after another, in the order they were published. Defaults to
    /// none. An order key given when publishing wins.
    fn order_key(&self) -> Option<OrderKey> {
        None
    }

    /// How publishes of it become fewer tasks. Defaults to none: each is a task of its own. What is said when publishing wins.
    fn coalescing(&self) -> Option<Coalescing> {
        None
    }

    /// How failed attempts are retried when the topic's configuration does not say.
    fn retry_policy() -> RetryPolicy {
        RetryPolicy::default()
    }

    /// How long an attempt may take when the topic's configuration does not say. Defaults to `None`: the
    /// configuration's time for all tasks, 60 s.
    fn timeout() -> Option<Duration> {
        None
    }
}

/// How a task is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskOptions {
    /// Not to run before this long from now: at most 100 years. Nothing at all is now.
    pub delay: Option<Duration>,
    /// Not to run before this time; wins over `delay`. From 1970 on, where what is past is now, to 100 years from now.
    pub run_at: Option<Timestamp>,
    /// A run after this time ends as skipped.
    pub deadline: Option<Timestamp>,
    /// Overrides the contract's order key.
    pub order_key: Option<OrderKey>,
    /// How it is one task with others of its key.
    pub coalescing: Coalesce,
}

/// Whether a publish is coalesced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Coalesce {
    /// As its contract says.
    #[default]
    AsTheContractSays,
    /// It is a task of its own, whatever its contract says.
    Never,
    /// So, whatever its contract says.
    By(Coalescing),
}

impl Coalesce {
    /// What holds, given what the contract says.
    pub(crate) fn of(&self, contract: impl FnOnce() -> Option<Coalescing>) -> Option<Coalescing> {
        match self {
            Self::AsTheContractSays => contract(),
            Self::Never => None,
            Self::By(coalescing) => Some(coalescing.clone()),
        }
    }
}

/// The longest a task may be put off: 100 years of 365 days.
pub const LONGEST_DELAY: Duration = time::days(100 * 365);

/// A task was to run at a time that nobody can mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is to run between 1970 and {} days from now", LONGEST_DELAY.as_secs() / 86_400)]
pub struct DelayOutOfRange;

impl TaskOptions {
    /// Before when it is not to run, if that is said and anybody can mean it.
    pub(crate) fn not_before(&self, now: Timestamp) -> Result<Option<Timestamp>, DelayOutOfRange> {
        let not_before = match (self.run_at, self.delay) {
            (Some(run_at), _) => run_at,
            (None, Some(delay)) => time::after(now, delay),
            (None, None) => return Ok(None),
        };
        if not_before < Timestamp::UNIX_EPOCH || not_before > time::after(now, LONGEST_DELAY) {
            return Err(DelayOutOfRange);
        }
        Ok(Some(not_before))
    }

    /// Coalesced so with others of its key.
    pub fn coalesced(coalescing: Coalescing) -> Self {
        Self {
            coalescing: Coalesce::By(coalescing),
            ..Self::default()
        }
    }

    /// Not to run before this long from now.
    pub fn delayed(delay: Duration) -> Self {
        Self {
            delay: Some(delay),
            ..Self::default()
        }
    }
}

/// What is known of a task without an instance of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskDescriptor {
    /// The topic.
    pub topic: TopicName,
    /// The task.
    pub task: TaskName,
    /// The newest version.
    pub version: u16,
    /// Which tenant ids it carries.
    pub scope: Scope,
    /// Why fewer than both.
    pub exemption: Option<&'static str>,
}

impl TaskDescriptor {
    /// What is known of `T`.
    pub fn of<T: Task>() -> Self {
        Self {
            topic: T::TOPIC,
            task: T::NAME,
            version: T::VERSION,
            scope: T::SCOPE,
            exemption: T::EXEMPTION,
        }
    }
}
