//! The whole tree of causes and consequences a message belongs to, as `/admin/v1/trees/{id}` answers it.

mod growing;
mod nodes;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use growing::tree_of;

/// Everything that belongs to one request, event or task. What it shows may be a moment old.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessageTree {
    /// What all of it belongs to: a request's id, or that of the first message.
    pub correlation_id: String,
    /// Whether nothing is left to be done: no message waits, runs or is to come, and what has to follow is there.
    pub is_over: bool,
    /// When nothing is left but what waits for its time: the latest of these times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_until: Option<Timestamp>,
    /// Why messages may be missing, if any may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<String>,
    /// What nothing known caused, oldest first.
    pub roots: Vec<TreeNode>,
}

/// An event or a task, with what it led to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TreeNode {
    /// Its id.
    pub id: MessageId,
    /// Which of both.
    pub kind: NodeKind,
    /// `InvitationCreated`, or `invitation-email/send`.
    pub name: String,
    /// Where it is.
    pub state: NodeState,
    /// The aggregate an event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The message that directly caused it, also when nothing else is known of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<MessageId>,
    /// The W3C trace it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// When the event happened, or the task was first enqueued.
    pub began_at: Timestamp,
    /// When the event was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// When the task may run; for those that wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// When the task ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Counted attempts of a task, the running one included.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// How many ends of a task are recorded: more than one when it came again after it had ended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ends: u32,
    /// The reason of its outcome, or its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The stable code of its last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The file of the e-mail it sent, where e-mail goes to files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What it led to, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consequences: Vec<Self>,
}

/// What a node of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A fact.
    Event,
    /// Something to do.
    Task,
}

/// Where a message of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Committed, and waits for the relay.
    InOutbox,
    /// Kept aside in the outbox, with its reason.
    SetAside,
    /// An event that waits for the dispatcher, or that it works on.
    Published,
    /// An event whose routes were looked up.
    Dispatched,
    /// An event the dispatcher gave up, with its reason.
    Undispatched,
    /// A task of which there is nothing yet, because its event was not dispatched yet.
    ToCome,
    /// A task its event leads to, and of which nothing is found: it is on the broker, or its end was not recorded.
    Unseen,
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Available,
    /// A worker has it.
    Running,
    /// Failed and waits for its next attempt.
    Retryable,
    /// Held by a pause.
    Paused,
    /// Done.
    Completed,
    /// Ended without doing anything, with its reason.
    Skipped,
    /// Must not run any more.
    Cancelled,
    /// One task with another, whose id is its reason: a publish that was coalesced.
    Coalesced,
    /// Given up; a dead letter.
    Dead,
}

impl NodeState {
    /// Whether nothing more happens to a message in this state by itself.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Dispatched
            | Self::Undispatched
            | Self::SetAside
            | Self::Completed
            | Self::Skipped
            | Self::Cancelled
            | Self::Coalesced
            | Self::Dead => true,
            Self::InOutbox
            | Self::Published
            | Self::ToCome
            | Self::Unseen
            | Self::Scheduled
            | Self::Available
            | Self::Running
            | Self::Retryable
            | Self::Paused => false,
        }
    }
}

impl MessageTree {
    /// Every node, causes before their consequences.
    pub fn nodes(&self) -> Vec<&TreeNode> {
        let mut nodes = Vec::new();
        for root in &self.roots {
            root.add_to(&mut nodes);
        }
        nodes
    }
}

impl TreeNode {
    fn add_to<'a>(&'a self, nodes: &mut Vec<&'a Self>) {
        nodes.push(self);
        for consequence in &self.consequences {
            consequence.add_to(nodes);
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
