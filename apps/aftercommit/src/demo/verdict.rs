//! What became of one request, judged by the tree of what it led to. Pure: the auditor asks, this decides.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use aftercommit::domain::ids::MessageId;
use aftercommit::domain::time::Timestamp;
use aftercommit::{MessageTree, NodeKind, NodeState};

use crate::demo::followed::{Counts, Followed};

/// What is known of a request's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It was taken: everything that follows from it must follow.
    Taken,
    /// It was refused: nothing may follow.
    Refused,
    /// Nobody knows: all of it or nothing.
    Unknown,
}

/// What was seen of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How many events, and how many of them were published.
    pub(crate) events: u64,
    pub(crate) relayed: u64,
    /// How many tasks are where.
    pub(crate) tasks: BTreeMap<NodeState, u64>,
    /// Attempts beyond the first of each task.
    pub(crate) retries: u64,
    /// Ends beyond the first of each task: it came again after it had ended.
    pub(crate) ended_again: u64,
    /// Tasks that say they have sent an e-mail.
    pub(crate) sent: Vec<MessageId>,
    /// Tasks that are dead letters, with the reason, in words.
    pub(crate) given_up: Vec<String>,
    /// What followed from its records.
    pub(crate) followed: Counts,
    /// From the first event to the last effect.
    pub(crate) took: Option<Duration>,
}

/// How it stands with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// All is over, as it must be.
    Over,
    /// Nothing is left but what waits for its time.
    Waits(Timestamp),
    /// Something is to come, or not there yet. Says what, for the case that it never comes.
    Open(String),
    /// What must not be: something was done twice, or followed from nothing.
    Wrong(String),
}

/// Judges. `events` are those that follow when it is taken, each as often as it is named.
pub(crate) fn judge(answered: Answered, events: &[&str], tree: Option<&MessageTree>) -> Standing {
    let Some(tree) = tree else {
        return match answered {
            Answered::Taken if !events.is_empty() => Standing::Open(format!("none of {}", events.join(", "))),
            Answered::Taken | Answered::Refused | Answered::Unknown => Standing::Over,
        };
    };
    if answered == Answered::Refused {
        return Standing::Wrong("it was refused, and something followed from it".into());
    }
    // What tasks led to is theirs; of the rest, each event has to be there as often as the request leads to it.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for event in events {
        counts.entry(event).or_default().0 += 1;
    }
    for root in tree
        .roots
        .iter()
        .filter(|root| root.kind == NodeKind::Event && root.caused_by.is_none())
    {
        counts.entry(&root.name).or_default().1 += 1;
    }
    if let Some((name, (expected, found))) = counts.iter().find(|(_, (expected, found))| found > expected) {
        return Standing::Wrong(format!("{name} {found} times instead of {expected}"));
    }
    if let Some((name, _)) = counts.iter().find(|(_, (expected, found))| found < expected) {
        return Standing::Open(format!("no {name}"));
    }
    if tree.is_over {
        return Standing::Over;
    }
    if let Some(until) = tree.waits_until {
        return Standing::Waits(until);
    }
    let open = tree
        .nodes()
        .into_iter()
        .find(|node| !node.state.is_over() && node.state != NodeState::Scheduled);
    Standing::Open(open.map_or_else(String::new, |node| {
        format!("{} {} is {:?}", node.name, node.id, node.state)
    }))
}

impl Seen {
    /// Counts what is in a tree.
    pub(crate) fn of(tree: &MessageTree) -> Self {
        let mut seen = Self::default();
        for node in tree.nodes() {
            if let Some(what) = Followed::of(node) {
                *seen.followed.entry(what).or_default() += 1;
            }
            match node.kind {
                NodeKind::Event => {
                    seen.events += 1;
                    seen.relayed += u64::from(node.published_at.is_some());
                    if matches!(node.state, NodeState::SetAside | NodeState::Undispatched) {
                        *seen.tasks.entry(node.state).or_default() += 1;
                    }
                }
                NodeKind::Task => {
                    *seen.tasks.entry(node.state).or_default() += 1;
                    seen.retries += u64::from(node.attempts.saturating_sub(1));
                    seen.ended_again += u64::from(node.ends.saturating_sub(1));
                    if node.state == NodeState::Completed && node.name.ends_with("-email/send") {
                        seen.sent.push(node.id);
                    }
                    if node.state == NodeState::Dead {
                        let name = format!("{} {}", node.name, node.id);
                        let why = [node.code.clone(), node.reason.clone()].into_iter().flatten();
                        let words: Vec<String> = iter::once(name).chain(why).collect();
                        seen.given_up.push(words.join(": "));
                    }
                }
            }
        }
        seen.took = took(tree);
        seen
    }
}

/// From the first event to the last effect: nothing while something other than time is waited for.
fn took(tree: &MessageTree) -> Option<Duration> {
    let nodes = tree.nodes();
    if !tree.is_over && tree.waits_until.is_none() {
        return None;
    }
    let began = nodes
        .iter()
        .filter(|node| node.kind == NodeKind::Event)
        .map(|node| node.began_at)
        .min()?;
    let last = nodes
        .iter()
        .filter_map(|node| node.finished_at.or(node.published_at))
        .max()?;
    last.signed_duration_since(began).to_std().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn node(kind: &str, name: &str, state: &str, more: &Value) -> Value {
        let mut node = json!({
            "id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ab", "kind": kind, "name": name, "state": state,
            "began_at": "2026-11-23T10:00:00Z"
        });
        if let (Some(node), Value::Object(more)) = (node.as_object_mut(), more) {
            node.extend(more.clone());
        }
        node
    }

    fn tree(is_over: bool, roots: &[Value]) -> MessageTree {
        serde_json::from_value(json!({"correlation_id": "demo", "is_over": is_over, "roots": roots})).unwrap()
    }

    fn event(name: &str, state: &str) -> Value {
        node("event", name, state, &json!({}))
    }

    #[test]
    fn a_taken_request_is_over_only_with_everything_that_follows_from_it() {
        let whole = tree(true, &[event("A", "dispatched"), event("B", "dispatched")]);
        assert_eq!(judge(Answered::Taken, &["A", "B"], Some(&whole)), Standing::Over);
        let part = tree(true, &[event("A", "dispatched")]);
        assert_eq!(
            judge(Answered::Taken, &["A", "B"], Some(&part)),
            Standing::Open("no B".into())
        );
        assert!(matches!(judge(Answered::Taken, &["A"], None), Standing::Open(_)));
        assert_eq!(judge(Answered::Taken, &[], None), Standing::Over);
        let unfinished = tree(false, &[event("A", "in_outbox")]);
        assert!(matches!(
            judge(Answered::Taken, &["A"], Some(&unfinished)),
            Standing::Open(_)
        ));
    }

    #[test]
    fn what_happened_twice_or_from_nothing_is_wrong() {
        let twice = tree(true, &[event("A", "dispatched"), event("A", "dispatched")]);
        assert!(matches!(
            judge(Answered::Taken, &["A"], Some(&twice)),
            Standing::Wrong(_)
        ));
        assert!(matches!(judge(Answered::Taken, &[], Some(&twice)), Standing::Wrong(_)));
        assert!(matches!(
            judge(Answered::Refused, &["A"], Some(&twice)),
            Standing::Wrong(_)
        ));
        assert_eq!(judge(Answered::Refused, &["A"], None), Standing::Over);
    }

    #[test]
    fn a_request_nobody_answered_is_done_as_a_whole_or_not_at_all() {
        let whole = tree(true, &[event("A", "dispatched"), event("B", "dispatched")]);
        assert_eq!(judge(Answered::Unknown, &["A", "B"], Some(&whole)), Standing::Over);
        assert_eq!(judge(Answered::Unknown, &["A", "B"], None), Standing::Over);
        let half = tree(true, &[event("A", "dispatched")]);
        assert!(matches!(
            judge(Answered::Unknown, &["A", "B"], Some(&half)),
            Standing::Open(_)
        ));
    }

    #[test]
    fn retries_second_ends_and_sent_e_mails_are_counted_and_what_was_given_up_is_told() {
        let sent = json!({"attempts": 3, "ends": 2, "finished_at": "2026-11-23T10:00:02Z"});
        let died = json!({"code": "task.lost", "reason": "too many runs of it ended without a result"});
        let tree = tree(
            true,
            &[
                event("A", "dispatched"),
                node("task", "invitation-email/send", "completed", &sent),
                node(
                    "task",
                    "invitation-email/send",
                    "skipped",
                    &json!({"attempts": 1, "ends": 1}),
                ),
                node("task", "search-index/refresh", "dead", &died),
            ],
        );
        let seen = Seen::of(&tree);
        assert_eq!(
            (seen.events, seen.retries, seen.ended_again, seen.sent.len()),
            (1, 2, 1, 1)
        );
        assert_eq!(seen.took, Some(Duration::from_secs(2)));
        assert_eq!(
            seen.given_up,
            [
                "search-index/refresh 0192f0c1-7a3b-7c4d-8e5f-0123456789ab: task.lost: too many runs of it ended without a result"
            ]
        );
    }

    #[test]
    fn what_followed_from_records_is_counted_where_it_is_done() {
        let is_done = json!({"attempts": 1, "ends": 1});
        let tree = tree(
            false,
            &[
                event("RecordSettled", "dispatched"),
                event("IncidentOpened", "dispatched"),
                node("task", "search-index/refresh", "completed", &is_done),
                node("task", "search-index/refresh", "scheduled", &json!({})),
                node("task", "search-index/refresh", "coalesced", &json!({})),
                node("task", "notification-email/send", "skipped", &is_done),
            ],
        );
        let followed = Seen::of(&tree).followed;
        let expected = [
            (Followed::RecordsSettled, 1),
            (Followed::IndexRefreshes, 1),
            (Followed::Coalesced, 1),
            (Followed::IncidentsOpened, 1),
        ];
        assert_eq!(followed, Counts::from(expected));
    }
}
