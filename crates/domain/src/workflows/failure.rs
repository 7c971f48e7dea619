//! What goes wrong in a workflow, as data: recorded, handed to the code that waits, shown to people.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::Limits;
use crate::failure::{Classified, ErrorClass, MAX_FAILURE_TEXT, bounded_text};
use crate::workflows::values;

/// Why a step or a workflow failed. Data, so that it survives every engine unchanged and workflow code decides by `kind`.
///
/// Never put secrets or personal data into it: it is recorded and shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct WorkflowFailure {
    /// A stable code such as `card.declined`: what code and alarms compare.
    pub kind: Cow<'static, str>,
    /// What happened, for people: at most 8 KiB.
    pub message: String,
    /// Whether the same call may succeed later. One that is not ends an activity's attempts at once.
    pub retryable: bool,
    /// Facts for the code that handles it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// The kinds that engines and the port give.
impl WorkflowFailure {
    /// An attempt of an activity took longer than `start_to_close`.
    pub const TIMED_OUT: &'static str = "activity.timed_out";
    /// An attempt of an activity gave no sign of life within `heartbeat`.
    pub const NO_HEARTBEAT: &'static str = "activity.no_heartbeat";
    /// An activity was not done within `schedule_to_close`, over all its attempts.
    pub const EXPIRED: &'static str = "activity.expired";
    /// An attempt of an activity panicked.
    pub const PANICKED: &'static str = "activity.panicked";
    /// An activity was cancelled from outside its workflow.
    pub const ACTIVITY_CANCELLED: &'static str = "activity.cancelled";
    /// No worker here knows the activity.
    pub const UNKNOWN_ACTIVITY: &'static str = "activity.unknown";
    /// A child's id is taken by a workflow that runs, or ran and runs once ever.
    pub const CHILD_ALREADY_STARTED: &'static str = "child.already_started";
    /// A child was cancelled by somebody else than its parent.
    pub const CHILD_CANCELLED: &'static str = "child.cancelled";
    /// A child was terminated.
    pub const CHILD_TERMINATED: &'static str = "child.terminated";
    /// What a step was given or answered is not what its type says.
    pub const MALFORMED: &'static str = "payload.malformed";

    /// A failure that the same call would meet again.
    pub fn permanent(kind: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self {
            kind: kind.into(),
            message: bounded_text(message.as_ref()),
            retryable: false,
            details: None,
        }
    }

    /// A failure that the same call may not meet later.
    pub fn retryable(kind: impl Into<Cow<'static, str>>, message: impl AsRef<str>) -> Self {
        Self {
            retryable: true,
            ..Self::permanent(kind, message)
        }
    }

    /// The same with facts for the code that handles it: at most 8 KiB of JSON. Others are left out, and
    /// `{"left_out": "payload.too_large"}` says so.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Self {
        let limits = Limits {
            payload_bytes: MAX_FAILURE_TEXT,
            ..Limits::default()
        };
        self.details = Some(match values::write(&details, &limits, "details") {
            Ok(_) => details,
            Err(refused) => json!({ "left_out": refused.kind }),
        });
        self
    }
}

impl fmt::Debug for WorkflowFailure {
    /// Without its details, which do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkflowFailure")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("retryable", &self.retryable)
            .finish_non_exhaustive()
    }
}

/// What is kept of a classified error: its code, its words, and whether it is worth another try.
impl<E: Classified> From<E> for WorkflowFailure {
    fn from(error: E) -> Self {
        Self {
            retryable: error.class() != ErrorClass::Permanent,
            ..Self::permanent(error.code(), error.to_string())
        }
    }
}

/// The run itself cannot go on, for a reason in its code or its build rather than in its work. It stays open and says why
/// in its description; a build without the mistake takes it up where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkflowProblem {
    /// It waits for something that no engine can record.
    #[error(
        "the workflow waits for something that is no step of its context, so nothing will ever wake it: await only what \
         `WorkflowContext` gives, and leave clocks, channels and I/O to activities"
    )]
    ForeignAwait,
    /// Its code panicked.
    #[error("the workflow's code panicked: {message}")]
    Panicked {
        /// With which words.
        message: String,
    },
    /// Its code takes another way than the recorded one.
    #[error(
        "step {step} was `{recorded}` and is now `{asked}`: runs that began before a change of the code must take the \
         old way; ask `ctx.patched(\"name-of-the-change\")` where it differs"
    )]
    Nondeterministic {
        /// The step's number.
        step: u64,
        /// What is recorded.
        recorded: String,
        /// What the code asks for now.
        asked: String,
    },
    /// A step was awaited again after it had answered.
    #[error("step {step} was awaited after it had answered")]
    AwaitedTwice {
        /// The step's number.
        step: u64,
    },
    /// No build here knows the workflow.
    #[error("no workflow of the name {name} is registered here")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// What it was started with cannot be read.
    #[error("the input of the workflow {name} cannot be read: {reason}")]
    Unreadable {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// More signals wait unread than a run that goes on as a new one can take along.
    #[error(
        "{count} unread signals of {bytes} bytes are more than a new run can begin with: take them before \
         `ctx.continue_as_new`"
    )]
    TooManySignals {
        /// How many.
        count: usize,
        /// How many bytes of JSON they are together.
        bytes: usize,
    },
    /// The engine cannot go on with the run.
    #[error("the engine cannot go on with the run: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
}

impl WorkflowProblem {
    /// How many unread signals a run that goes on as a new one takes along at most.
    pub const MOST_UNREAD_SIGNALS: usize = 1000;
    /// How many bytes of JSON they are together at most.
    pub const MOST_UNREAD_BYTES: usize = 1024 * 1024;

    /// Checks the bytes of each signal that a new run is to begin with.
    ///
    /// # Errors
    /// [`TooManySignals`](Self::TooManySignals): they are too many, or too large together.
    pub fn check_unread_signals(sizes: impl IntoIterator<Item = usize>) -> Result<(), Self> {
        let (count, bytes) = sizes.into_iter().fold((0_usize, 0_usize), |(count, bytes), size| {
            (count + 1, bytes.saturating_add(size))
        });
        if count > Self::MOST_UNREAD_SIGNALS || bytes > Self::MOST_UNREAD_BYTES {
            return Err(Self::TooManySignals { count, bytes });
        }
        Ok(())
    }
}

impl Classified for WorkflowProblem {
    fn class(&self) -> ErrorClass {
        match self {
            Self::ForeignAwait
            | Self::Panicked { .. }
            | Self::Nondeterministic { .. }
            | Self::AwaitedTwice { .. }
            | Self::Unknown { .. }
            | Self::Unreadable { .. }
            | Self::TooManySignals { .. }
            | Self::Engine { .. } => ErrorClass::Retryable,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::ForeignAwait => "workflow.foreign_await",
            Self::Panicked { .. } => "workflow.panicked",
            Self::Nondeterministic { .. } => "workflow.nondeterministic",
            Self::AwaitedTwice { .. } => "workflow.awaited_twice",
            Self::Unknown { .. } => "workflow.unknown",
            Self::Unreadable { .. } => "workflow.unreadable",
            Self::TooManySignals { .. } => "workflow.too_many_signals",
            Self::Engine { .. } => "workflow.engine",
        }
    }
}
