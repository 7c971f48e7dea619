//! What led to a message and what it led to: the messages that belong together, wherever each of them is.

mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::contract::{CorrelationId, EventEnvelope, TaskEnvelope, TopicName};
use crate::events::{LoggedEvent, OutboxMessage};
use crate::failure::{Classified, ErrorClass};
use crate::ids::MessageId;
use crate::tasks::{TaskDetails, TaskPlace, TaskState, TaskSummary};
use crate::time::Timestamp;

pub use tree::{Branch, Tree, TreeLimits};

/// Finds the messages that belong together. What it shows may be a moment old; nothing decides by it.
///
/// **Contract**: what ended or is published is found through an index, however much there is. Of what is not published or
/// not finished yet, the newest [`LOOKED_THROUGH`] rows are looked through, so that writing them costs nothing more. A queue
/// that does not show each task shows those that the database knows.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// The messages of these ids: an event in the outbox or in the log, a task in the outbox, on its topic, ended or dead.
    /// Ids of which there is no trace are left out. An event and the task that carries it to the dispatcher share an id, and
    /// both are answered.
    async fn find(&self, ids: &[MessageId]) -> Result<Vec<Relative>, LineageError>;

    /// At most `limit` messages of `correlation`, oldest first, and whether there are or may be more. All as they were at one
    /// moment, so that of a task that is seen to have ended, what it led to is seen, too.
    async fn of(&self, correlation: &CorrelationId, limit: u32) -> Result<Relatives, LineageError>;

    /// Of these publishes, those that were coalesced into another task, with that one: the one that stood for it, or the one
    /// that took its place, which another may have taken from that since. Known as long as a publish that comes again is.
    async fn coalesced(&self, ids: &[MessageId]) -> Result<Vec<(MessageId, MessageId)>, LineageError>;
}

/// How many rows of the outbox, and how many unfinished tasks, are looked through for those of a correlation.
pub const LOOKED_THROUGH: u32 = 5_000;

/// Messages that belong together.
#[derive(Debug, Clone, Default)]
pub struct Relatives {
    /// The messages, each once in each place where it is.
    pub messages: Vec<Relative>,
    /// Whether some may have been left out.
    pub is_cut: bool,
}

impl Relatives {
    /// At most `limit` of `messages`, each once, oldest first. One that several places know, because it moved while they were
    /// asked, is taken where it got to last.
    pub fn of(messages: Vec<Relative>, limit: u32) -> Self {
        let mut messages = each_once(messages);
        messages.sort_by_key(Relative::began_at);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let is_cut = messages.len() > limit;
        messages.truncate(limit);
        Self { messages, is_cut }
    }
}

/// Each message once: of the events and tasks that share an id, both.
fn each_once(messages: Vec<Relative>) -> Vec<Relative> {
    let mut places: HashMap<(MessageId, Option<TopicName>), usize> = HashMap::new();
    let mut once: Vec<Relative> = Vec::with_capacity(messages.len());
    for message in messages {
        let kind = match &message {
            Relative::Event(_) => None,
            Relative::Task(task) => Some(task.task.summary.topic.clone()),
        };
        let place = *places.entry((message.id(), kind)).or_insert(once.len());
        match once.get_mut(place) {
            Some(known) => known.merge(message),
            None => once.push(message),
        }
    }
    once
}

/// A message that belongs to others.
#[derive(Debug, Clone)]
pub enum Relative {
    /// An event.
    Event(Box<TracedEvent>),
    /// A task.
    Task(Box<TracedTask>),
}

/// An event, and where it is.
#[derive(Debug, Clone)]
pub struct TracedEvent {
    /// The event as it was written; sealed values are sealed.
    pub event: EventEnvelope,
    /// When it was published; `None` while it is in the outbox.
    pub published_at: Option<Timestamp>,
    /// Why it is kept aside in the outbox, if it is.
    pub set_aside: Option<String>,
}

/// A task, and where it is.
#[derive(Debug, Clone)]
pub struct TracedTask {
    /// What is known of it, without its payload.
    pub task: TaskDetails,
    /// Whether it is still in the outbox; its state is that of a task that waits then.
    pub is_in_outbox: bool,
    /// Why it is kept aside in the outbox, if it is.
    pub set_aside: Option<String>,
    /// How many ends are recorded, those before it was put back included. More than one when it came again after it had ended.
    pub ends: u32,
}

impl Relative {
    /// A message of the outbox, and why it is kept aside there, if it is.
    pub fn in_outbox(message: OutboxMessage, set_aside: Option<String>) -> Self {
        match message {
            OutboxMessage::Event(event) => Self::Event(Box::new(TracedEvent {
                event,
                published_at: None,
                set_aside,
            })),
            OutboxMessage::Task(task) => Self::Task(Box::new(TracedTask {
                task: waiting(task),
                is_in_outbox: true,
                set_aside,
                ends: 0,
            })),
        }
    }

    /// An event of the log.
    pub fn published(logged: LoggedEvent) -> Self {
        Self::Event(Box::new(TracedEvent {
            event: logged.event,
            published_at: Some(logged.published_at),
            set_aside: None,
        }))
    }

    /// A task that reached its topic, and how many ends of it are recorded.
    pub fn on_topic(task: TaskDetails, ends: u32) -> Self {
        Self::Task(Box::new(TracedTask {
            task: TaskDetails { payload: None, ..task },
            is_in_outbox: false,
            set_aside: None,
            ends,
        }))
    }

    /// Takes over what another place knows of the same message.
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Event(known), Self::Event(event)) => {
                if known.published_at.is_none() {
                    *known = event;
                }
            }
            (Self::Task(known), Self::Task(task)) => {
                let ends = known.ends.max(task.ends);
                if known.progress() < task.progress() {
                    *known = task;
                }
                known.ends = ends;
            }
            (Self::Event(_), Self::Task(_)) | (Self::Task(_), Self::Event(_)) => {}
        }
    }

    /// Its id.
    pub const fn id(&self) -> MessageId {
        match self {
            Self::Event(event) => event.event.id,
            Self::Task(task) => task.task.summary.id,
        }
    }

    /// What it belongs to: its own id when it begins a tree and says nothing else.
    pub fn correlation(&self) -> String {
        let said = match self {
            Self::Event(event) => event.event.cause.correlation.as_ref().map(ToString::to_string),
            Self::Task(task) => task.task.correlation_id.clone(),
        };
        said.unwrap_or_else(|| self.id().to_string())
    }

    /// What directly caused it.
    pub const fn causation(&self) -> Option<MessageId> {
        match self {
            Self::Event(event) => event.event.cause.causation,
            Self::Task(task) => task.task.causation_id,
        }
    }

    /// When it began to be.
    pub const fn began_at(&self) -> Timestamp {
        match self {
            Self::Event(event) => event.event.occurred_at,
            Self::Task(task) => task.task.summary.enqueued_at,
        }
    }
}

impl TracedTask {
    /// How far it got: from the outbox to its topic to its end. An unfinished one comes after an ended one, because it was put
    /// back.
    const fn progress(&self) -> u8 {
        match (self.is_in_outbox, self.task.summary.finished_at) {
            (true, _) => 0,
            (false, Some(_)) => 1,
            (false, None) => 2,
        }
    }
}

fn waiting(task: TaskEnvelope) -> TaskDetails {
    TaskDetails {
        summary: TaskSummary {
            id: task.id,
            topic: task.topic,
            task: task.task.to_string(),
            organization_id: task.tenant.organization_id().cloned(),
            project_id: task.tenant.project_id().cloned(),
            state: TaskState::Available,
            attempts: 0,
            enqueued_at: task.first_enqueued_at,
            due_at: task.not_before,
            finished_at: None,
            reason: None,
        },
        code: None,
        correlation_id: task.cause.correlation.as_ref().map(ToString::to_string),
        causation_id: task.cause.causation,
        payload: None,
        place: TaskPlace::default(),
    }
}

/// The question could not be answered.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LineageError {
    /// The store is away or too slow.
    #[error("the store is unavailable ({operation}): {reason}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the store said.
        reason: String,
    },
}

impl Classified for LineageError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Unavailable { .. } => ErrorClass::Outage,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "store.unavailable",
        }
    }
}

fn _dyn_compatible(_: Arc<dyn Lineage>) {}
