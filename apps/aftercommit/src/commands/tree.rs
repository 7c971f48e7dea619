//! `--tree`: what led to something and what it led to.

use std::fmt::Write as _;

use aftercommit::domain::contract::CorrelationId;
use aftercommit::domain::time::Timestamp;
use aftercommit::{MessageTree, NodeKind, NodeState, TreeNode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::rendered;
use crate::admin_client::Answer;
use crate::cli::Output;
use crate::command_error::CommandError;
use crate::commands::{shown, with_client};
use crate::printable::{printable, truncated};

/// As wide as a reason may be on the line of its message.
const WIDEST_REASON: usize = 160;

pub(crate) async fn show(id: CorrelationId, output: Output) -> Result<String, CommandError> {
    let path = format!("/trees/{}", utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC));
    with_client(async |client| {
        let answer = client.get(&path, &[]).await?;
        rendered(&answer, output, describe)
    })
    .await
}

fn describe(answer: &Answer) -> Result<String, CommandError> {
    Ok(drawn(&answer.read()?))
}

/// The tree as lines for people.
fn drawn(tree: &MessageTree) -> String {
    let mut text = format!("request or first message  {}\n", printable(&tree.correlation_id));
    let nodes = tree.nodes();
    let trace = nodes.iter().find_map(|node| node.trace_id.as_deref());
    let began = nodes.iter().map(|node| node.began_at).min();
    // Writing to a String cannot fail.
    if let Some(began) = began {
        let _ = writeln!(text, "began                     {}", shown(began));
    }
    if let Some(trace) = trace {
        let _ = writeln!(text, "trace                     {}", printable(trace));
    }
    text.push('\n');
    for (place, root) in tree.roots.iter().enumerate() {
        draw(&mut text, root, "", place + 1 == tree.roots.len(), began);
    }
    text.push('\n');
    text.push_str(&verdict(tree));
    if let Some(cut) = &tree.cut {
        let _ = writeln!(text, "Not everything is shown: {}.", printable(cut));
    }
    text
}

fn draw(text: &mut String, node: &TreeNode, indent: &str, is_last: bool, began: Option<Timestamp>) {
    let (branch, below) = if is_last {
        ("└─ ", "   ")
    } else {
        ("├─ ", "│  ")
    };
    let _ = writeln!(text, "{indent}{branch}{}", line(node, began));
    let indent = format!("{indent}{below}");
    let detail_indent = if node.consequences.is_empty() { "  " } else { "│ " };
    for detail in details(node) {
        let _ = writeln!(text, "{indent}{detail_indent}{detail}");
    }
    for (place, next) in node.consequences.iter().enumerate() {
        draw(text, next, &indent, place + 1 == node.consequences.len(), began);
    }
}

fn line(node: &TreeNode, began: Option<Timestamp>) -> String {
    let kind = match node.kind {
        NodeKind::Event => "event",
        NodeKind::Task => "task",
    };
    let mut line = format!("{kind} {}  {}", printable(&node.name), word(node.state));
    let at = node.finished_at.or(node.published_at);
    if let (Some(at), Some(began)) = (at, began) {
        let after = at.signed_duration_since(began).num_microseconds().unwrap_or(0);
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let _ = write!(line, " after {:.1} ms", (after.max(0) as f64) / 1_000.0);
    }
    if let Some(due) = node.due_at {
        let _ = write!(line, " until {}", shown(due));
    }
    if node.attempts > 1 {
        let _ = write!(line, ", attempt {}", node.attempts);
    }
    if node.ends > 1 {
        let _ = write!(line, ", ended {} times", node.ends);
    }
    if let Some(reason) = &node.reason {
        let _ = write!(line, ": {}", truncated(&printable(reason), WIDEST_REASON));
    }
    if let Some(code) = &node.code {
        let _ = write!(line, " ({})", printable(code));
    }
    line
}

fn details(node: &TreeNode) -> Vec<String> {
    let mut details = vec![format!("{}{}", node.id, subject(node))];
    details.extend(node.email.as_deref().map(|file| format!("e-mail {}", printable(file))));
    details
}

fn subject(node: &TreeNode) -> String {
    node.subject
        .as_deref()
        .map_or_else(String::new, |subject| format!("  {}", printable(subject)))
}

const fn word(state: NodeState) -> &'static str {
    match state {
        NodeState::InOutbox => "in the outbox",
        NodeState::SetAside => "KEPT ASIDE",
        NodeState::Published => "published, not dispatched yet",
        NodeState::Dispatched => "dispatched",
        NodeState::Undispatched => "NOT DISPATCHED",
        NodeState::ToCome => "to come",
        NodeState::Unseen => "on the broker, or its end was not recorded",
        NodeState::Scheduled => "waits",
        NodeState::Available => "waits for a worker",
        NodeState::Running => "running",
        NodeState::Retryable => "waits for its next attempt",
        NodeState::Paused => "paused",
        NodeState::Completed => "completed",
        NodeState::Skipped => "skipped",
        NodeState::Cancelled => "cancelled",
        NodeState::Coalesced => "coalesced",
        NodeState::Dead => "DEAD",
    }
}

fn verdict(tree: &MessageTree) -> String {
    let nodes = tree.nodes();
    let events = nodes.iter().filter(|node| node.kind == NodeKind::Event).count();
    let tasks = nodes.len() - events;
    let bad = nodes
        .iter()
        .filter(|node| {
            matches!(
                node.state,
                NodeState::Dead | NodeState::SetAside | NodeState::Undispatched
            )
        })
        .count();
    let open = nodes.iter().filter(|node| !node.state.is_over()).count();
    let mut text = format!("{} and {}: ", counted(events, "event"), counted(tasks, "task"));
    match (open, tree.waits_until) {
        (0, _) => text.push_str("all is over"),
        (_, Some(until)) => {
            let _ = write!(text, "{open} wait for their time, until {}", shown(until));
        }
        (_, None) => {
            let _ = write!(text, "{open} not over yet");
        }
    }
    if bad > 0 {
        let _ = write!(text, ", {bad} given up");
    }
    text.push_str(".\n");
    text
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_drawn_with_its_states_and_what_is_wrong_stands_out() {
        let tree: MessageTree = serde_json::from_value(serde_json::json!({
            "correlation_id": "checkout\u{1b}[2J", "is_over": false, "cut": "there is more",
            "roots": [{
                "id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ab", "kind": "event", "name": "InvitationCreated",
                "state": "dispatched", "subject": "invitation/7", "began_at": "2026-11-23T10:00:00Z",
                "published_at": "2026-11-23T10:00:00.004Z", "trace_id": "4bf9",
                "consequences": [
                    {"id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ac", "kind": "task", "name": "invitations/expire",
                     "state": "scheduled", "began_at": "2026-11-23T10:00:00Z", "due_at": "2026-11-30T10:00:00Z"},
                    {"id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ad", "kind": "task", "name": "invitation-email/send",
                     "state": "dead", "began_at": "2026-11-23T10:00:00Z", "finished_at": "2026-11-23T10:00:01Z",
                     "attempts": 3, "ends": 1, "reason": "550 no such user", "code": "smtp.refused"}
                ]
            }]
        }))
        .unwrap();
        assert_eq!(
            drawn(&tree),
            "request or first message  checkout\\u{1b}[2J\n\
             began                     2026-11-23T10:00:00.000Z\n\
             trace                     4bf9\n\n\
             └─ event InvitationCreated  dispatched after 4.0 ms\n   \
             │ 0192f0c1-7a3b-7c4d-8e5f-0123456789ab  invitation/7\n   \
             ├─ task invitations/expire  waits until 2026-11-30T10:00:00.000Z\n   \
             │    0192f0c1-7a3b-7c4d-8e5f-0123456789ac\n   \
             └─ task invitation-email/send  DEAD after 1000.0 ms, attempt 3: 550 no such user (smtp.refused)\n     \x20  \
               0192f0c1-7a3b-7c4d-8e5f-0123456789ad\n\n\
             1 event and 2 tasks: 1 not over yet, 1 given up.\n\
             Not everything is shown: there is more.\n"
        );
    }
}
