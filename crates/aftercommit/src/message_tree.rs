//! The whole tree of causes and consequences a message belongs to, as `/admin/v1/trees/{id}` answers it.

use std::collections::BTreeSet;

use aftercommit_domain::contract::{CorrelationId, TopicName, TraceContext};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{Branch, LineageError, Relative, TracedEvent, TracedTask, Tree, TreeLimits};
use aftercommit_domain::tasks::{TaskDetails, TaskState, TaskSummary};
use aftercommit_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::kit::Operations;

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
    /// Done.
    Completed,
    /// Ended without doing anything, with its reason.
    Skipped,
    /// Must not run any more.
    Cancelled,
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
            | Self::Dead => true,
            Self::InOutbox
            | Self::Published
            | Self::ToCome
            | Self::Unseen
            | Self::Scheduled
            | Self::Available
            | Self::Running
            | Self::Retryable => false,
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

/// The tree that `id` belongs to: the id of an event, a task or a request, or whatever else a correlation id is. `Ok(None)`
/// when nothing belongs to it.
pub(crate) async fn tree_of(operations: &Operations, id: &str) -> Result<Option<MessageTree>, LineageError> {
    let lineage = operations.lineage();
    let Some(correlation) = correlation_of(operations, id).await? else {
        return Ok(None);
    };
    let limits = TreeLimits::default();
    let most = u32::try_from(limits.messages).unwrap_or(u32::MAX);
    let mut relatives = lineage.of(&correlation, most).await?;
    let expected = expected(operations, &relatives.messages);
    let seen: BTreeSet<MessageId> = tasks_in(&relatives.messages);
    let missing: Vec<MessageId> = expected
        .iter()
        .map(|expected| expected.task.task.summary.id)
        .filter(|id| !seen.contains(id))
        .take(limits.messages)
        .collect();
    relatives.messages.extend(lineage.find(&missing).await?);
    let seen = tasks_in(&relatives.messages);
    let mut to_come: BTreeSet<MessageId> = BTreeSet::new();
    let mut unseen: BTreeSet<MessageId> = BTreeSet::new();
    for Expected { task, was_published } in expected {
        let id = task.task.summary.id;
        if !seen.contains(&id) {
            let place = if was_published { &mut unseen } else { &mut to_come };
            if place.insert(id) {
                relatives.messages.push(Relative::Task(task));
            }
        }
    }
    if relatives.messages.is_empty() {
        return Ok(None);
    }
    let tree = Tree::grow(relatives.messages, limits);
    let cut = match (tree.left_out, relatives.is_cut) {
        (0, false) => None,
        (0, true) => Some(
            "there is more waiting than is looked through; unfinished messages of this tree may be missing".to_owned(),
        ),
        (left_out, _) => Some(format!(
            "at least {left_out} more messages: a tree is shown up to {} messages and {} steps from its root",
            limits.messages, limits.depth
        )),
    };
    let now = operations.kit.clock().now();
    let mut roots: Vec<TreeNode> = tree
        .roots
        .into_iter()
        .map(|branch| node(branch, &to_come, &unseen, now))
        .collect();
    add_emails(operations, &mut roots).await;
    let mut answer = MessageTree {
        correlation_id: correlation.to_string(),
        is_over: false,
        waits_until: None,
        cut,
        roots,
    };
    let open = |node: &&TreeNode| !node.state.is_over();
    let nodes = answer.nodes();
    let waiting = nodes
        .iter()
        .copied()
        .filter(open)
        .all(|node| node.state == NodeState::Scheduled);
    let latest = nodes.iter().copied().filter(open).filter_map(|node| node.due_at).max();
    let is_over = !nodes.iter().any(open);
    answer.is_over = is_over;
    answer.waits_until = latest.filter(|_| waiting);
    Ok(Some(answer))
}

async fn correlation_of(operations: &Operations, id: &str) -> Result<Option<CorrelationId>, LineageError> {
    if let Ok(message) = id.parse::<MessageId>() {
        let found = operations.lineage().find(&[message]).await?;
        if let Some(correlation) = found
            .first()
            .and_then(|found| CorrelationId::new(found.correlation()).ok())
        {
            return Ok(Some(correlation));
        }
    }
    Ok(CorrelationId::new(id).ok())
}

fn tasks_in(messages: &[Relative]) -> BTreeSet<MessageId> {
    let tasks = messages.iter().filter_map(|message| match message {
        Relative::Task(task) => Some(task.task.summary.id),
        Relative::Event(_) => None,
    });
    tasks.collect()
}

/// A task that an event leads to by the routes of this process.
struct Expected {
    task: Box<TracedTask>,
    was_published: bool,
}

fn expected(operations: &Operations, messages: &[Relative]) -> Vec<Expected> {
    let events = messages.iter().filter_map(|message| match message {
        Relative::Event(event) if event.set_aside.is_none() => Some(event),
        Relative::Event(_) | Relative::Task(_) => None,
    });
    events.flat_map(|event| expected_of(operations, event)).collect()
}

/// Nothing where this process cannot say: it does not know the event, or has not the key to read it.
fn expected_of(operations: &Operations, event: &TracedEvent) -> Vec<Expected> {
    let codec = operations.kit.envelopes().codec();
    let dispatches = operations.routes.dispatch(&event.event, codec).unwrap_or_default();
    let began = event.published_at.unwrap_or(event.event.occurred_at);
    let task = |(id, topic, task): (MessageId, TopicName, String), due_at: Option<Timestamp>| TracedTask {
        task: TaskDetails {
            summary: TaskSummary {
                id,
                topic,
                task,
                organization_id: event.event.tenant.organization_id().cloned(),
                project_id: event.event.tenant.project_id().cloned(),
                state: TaskState::Available,
                attempts: 0,
                enqueued_at: began,
                due_at,
                finished_at: None,
                reason: None,
            },
            code: None,
            correlation_id: None,
            causation_id: Some(event.event.id),
            payload: None,
        },
        is_in_outbox: false,
        set_aside: None,
        ends: 0,
    };
    dispatches
        .into_iter()
        // One that nobody waits for may never have been published.
        .filter(|(_, dispatch)| !dispatch.is_best_effort())
        .map(|(id, dispatch)| {
            let target = dispatch.target();
            let named = (id, target.topic.clone(), target.task.to_string());
            Expected {
                task: Box::new(task(named, dispatch.not_before(began))),
                was_published: event.published_at.is_some(),
            }
        })
        .collect()
}

fn node(branch: Branch, to_come: &BTreeSet<MessageId>, unseen: &BTreeSet<MessageId>, now: Timestamp) -> TreeNode {
    let Branch {
        message,
        dispatch,
        consequences,
    } = branch;
    let mut node = match message {
        Relative::Event(event) => event_node(*event, dispatch.as_deref()),
        Relative::Task(task) => task_node(*task),
    };
    if to_come.contains(&node.id) {
        node.state = NodeState::ToCome;
    } else if unseen.contains(&node.id) {
        // A broker keeps what waits for its time, and does not show it.
        let waits = node.due_at.is_some_and(|due| due > now);
        node.state = if waits { NodeState::Scheduled } else { NodeState::Unseen };
    }
    node.consequences = consequences
        .into_iter()
        .map(|branch| self::node(branch, to_come, unseen, now))
        .collect();
    // A consequence that is not there yet is no loss while the dispatcher has the event.
    if node.kind == NodeKind::Event && node.state == NodeState::Published {
        for consequence in node
            .consequences
            .iter_mut()
            .filter(|next| next.state == NodeState::Unseen)
        {
            consequence.state = NodeState::ToCome;
        }
    }
    node
}

fn event_node(event: TracedEvent, dispatch: Option<&TracedTask>) -> TreeNode {
    let TracedEvent {
        event,
        published_at,
        set_aside,
    } = event;
    let carrier = dispatch.map(|task| &task.task);
    let (state, reason, code) = match (published_at, set_aside, carrier) {
        (_, Some(reason), _) => (NodeState::SetAside, Some(reason), None),
        (None, None, _) => (NodeState::InOutbox, None, None),
        (Some(_), None, None) => (NodeState::Dispatched, None, None),
        (Some(_), None, Some(carrier)) => (
            match carrier.summary.state {
                TaskState::Completed | TaskState::Skipped | TaskState::Cancelled => NodeState::Dispatched,
                TaskState::Dead => NodeState::Undispatched,
                TaskState::Scheduled | TaskState::Available | TaskState::Running | TaskState::Retryable => {
                    NodeState::Published
                }
            },
            carrier.summary.reason.clone(),
            carrier.code.clone(),
        ),
    };
    TreeNode {
        id: event.id,
        kind: NodeKind::Event,
        name: event.name.to_string(),
        state,
        subject: Some(event.aggregate.to_string()),
        organization_id: event.tenant.organization_id().map(ToString::to_string),
        project_id: event.tenant.project_id().map(ToString::to_string),
        caused_by: event.cause.causation,
        trace_id: event
            .cause
            .trace
            .as_ref()
            .map(TraceContext::trace_id)
            .map(str::to_owned),
        began_at: event.occurred_at,
        published_at,
        due_at: None,
        finished_at: None,
        attempts: 0,
        ends: 0,
        reason,
        code,
        email: None,
        consequences: Vec::new(),
    }
}

fn task_node(task: TracedTask) -> TreeNode {
    let TracedTask {
        task: TaskDetails {
            summary,
            code,
            causation_id,
            ..
        },
        is_in_outbox,
        set_aside,
        ends,
    } = task;
    let state = match (is_in_outbox, &set_aside) {
        (_, Some(_)) => NodeState::SetAside,
        (true, None) => NodeState::InOutbox,
        (false, None) => match summary.state {
            TaskState::Scheduled => NodeState::Scheduled,
            TaskState::Available => NodeState::Available,
            TaskState::Running => NodeState::Running,
            TaskState::Retryable => NodeState::Retryable,
            TaskState::Completed => NodeState::Completed,
            TaskState::Skipped => NodeState::Skipped,
            TaskState::Cancelled => NodeState::Cancelled,
            TaskState::Dead => NodeState::Dead,
        },
    };
    TreeNode {
        id: summary.id,
        kind: NodeKind::Task,
        name: format!("{}/{}", summary.topic, summary.task),
        state,
        subject: None,
        organization_id: summary.organization_id.map(|id| id.to_string()),
        project_id: summary.project_id.map(|id| id.to_string()),
        caused_by: causation_id,
        trace_id: None,
        began_at: summary.enqueued_at,
        published_at: None,
        due_at: summary.due_at,
        finished_at: summary.finished_at,
        attempts: summary.attempts,
        ends,
        reason: set_aside.or(summary.reason),
        code,
        email: None,
        consequences: Vec::new(),
    }
}

/// Where e-mail goes to files, that of a task is called by its id.
async fn add_emails(operations: &Operations, nodes: &mut [TreeNode]) {
    let mail = &operations.kit.settings().mail;
    if mail.smtp.is_some() {
        return;
    }
    let mut left: Vec<&mut TreeNode> = nodes.iter_mut().collect();
    while let Some(node) = left.pop() {
        if node.kind == NodeKind::Task {
            let file = mail.dir.join(format!("{}.eml", node.id));
            if tokio::fs::try_exists(&file).await.unwrap_or(false) {
                node.email = Some(file.display().to_string());
            }
        }
        left.extend(node.consequences.iter_mut());
    }
}
