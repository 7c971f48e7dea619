//! Messages as nodes of a tree.

use std::collections::{BTreeMap, BTreeSet};

use aftercommit_domain::contract::TraceContext;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{Branch, Relative, TracedEvent, TracedTask};
use aftercommit_domain::tasks::{TaskDetails, TaskState};
use aftercommit_domain::time::Timestamp;

use crate::message_tree::{NodeKind, NodeState, TreeNode};

/// What should be there and of which nothing was found.
pub(super) struct Missing {
    /// Their events were not published yet.
    pub(super) to_come: BTreeSet<MessageId>,
    /// Their events were.
    pub(super) unseen: BTreeSet<MessageId>,
    /// Those of them that are one task with another.
    pub(super) coalesced: BTreeMap<MessageId, MessageId>,
}

/// A message with what it led to.
pub(super) fn node(branch: Branch, missing: &Missing, now: Timestamp) -> TreeNode {
    let Branch {
        message,
        dispatch,
        consequences,
    } = branch;
    let mut node = match message {
        Relative::Event(event) => event_node(*event, dispatch.as_deref()),
        Relative::Task(task) => task_node(*task),
    };
    if let Some(task) = missing.coalesced.get(&node.id) {
        node.state = NodeState::Coalesced;
        node.reason = Some(format!("one task with {task}"));
    } else if missing.to_come.contains(&node.id) {
        node.state = NodeState::ToCome;
    } else if missing.unseen.contains(&node.id) {
        // A broker keeps what waits for its time, and does not show it.
        let waits = node.due_at.is_some_and(|due| due > now);
        node.state = if waits { NodeState::Scheduled } else { NodeState::Unseen };
    }
    node.consequences = consequences
        .into_iter()
        .map(|branch| self::node(branch, missing, now))
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
                TaskState::Scheduled
                | TaskState::Available
                | TaskState::Running
                | TaskState::Retryable
                | TaskState::Paused => NodeState::Published,
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
            TaskState::Paused => NodeState::Paused,
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
