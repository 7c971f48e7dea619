//! Finds everything that belongs together, and what should be there and is not.

use std::collections::{BTreeMap, BTreeSet};

use aftercommit_domain::contract::{CorrelationId, TopicName};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{LineageError, Relative, TracedEvent, TracedTask, Tree, TreeLimits};
use aftercommit_domain::tasks::{TaskDetails, TaskPlace, TaskState, TaskSummary};
use aftercommit_domain::time::Timestamp;

use crate::kit::Operations;
use crate::message_tree::nodes::{Missing, node};
use crate::message_tree::{MessageTree, NodeKind, NodeState, TreeNode};

/// How often it is looked again because more was found.
const MOST_LOOKS: usize = 3;

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
    let mut wanted = expected(operations, &relatives.messages);
    // What is found by its id alone is of a later moment: then what it led to is asked for once more.
    for _ in 0..MOST_LOOKS {
        let seen = tasks_in(&relatives.messages);
        let ids = wanted.iter().map(|expected| expected.task.task.summary.id);
        let missing: Vec<MessageId> = ids.filter(|id| !seen.contains(id)).take(limits.messages).collect();
        let found = lineage.find(&missing).await?;
        if found.is_empty() {
            break;
        }
        relatives = lineage.of(&correlation, most).await?;
        relatives.messages.extend(found);
        wanted = expected(operations, &relatives.messages);
    }
    let seen = tasks_in(&relatives.messages);
    let mut to_come: BTreeSet<MessageId> = BTreeSet::new();
    let mut unseen: BTreeSet<MessageId> = BTreeSet::new();
    for Expected { task, was_published } in wanted {
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
    let asked: Vec<MessageId> = unseen.iter().copied().take(limits.messages).collect();
    let coalesced: BTreeMap<MessageId, MessageId> = lineage.coalesced(&asked).await?.into_iter().collect();
    let missing = Missing {
        to_come,
        unseen,
        coalesced,
    };
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
        .map(|branch| node(branch, &missing, now))
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
            place: TaskPlace::default(),
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
