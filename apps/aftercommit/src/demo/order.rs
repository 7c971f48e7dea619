//! Whether events of one aggregate were published, and dispatched, in the order they happened in.
//!
//! Two events are compared only when one certainly happened first: both are of one request, or the request of the one was
//! answered before that of the other was made, and both took the same rail: what is published directly waits for nobody in
//! the outbox. Pure: the auditor tells what it saw.

use std::collections::BTreeMap;
use std::time::Instant;

use aftercommit::domain::time::Timestamp;
use aftercommit::{MessageTree, NodeKind, TreeNode};

/// Events that are remembered; later ones are not compared.
const REMEMBERED: usize = 400_000;

/// What is known of the order.
#[derive(Debug, Default)]
pub(crate) struct Order {
    of_aggregates: BTreeMap<(String, Rail), Vec<Placed>>,
    remembered: usize,
}

/// What the comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// Events that were compared with one that happened before.
    pub(crate) compared: u64,
    /// Those of which both had led to tasks, so that what the dispatcher did was compared, too.
    pub(crate) dispatches: u64,
    /// Those that overtook it, in words.
    pub(crate) overtaking: Vec<String>,
}

/// How events get to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rail {
    /// With the commit, through the outbox.
    Outbox,
    /// Published after the commit.
    Direct,
}

/// From when a request was made first until it was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) rail: Rail,
    pub(crate) made: Instant,
    pub(crate) answered: Instant,
}

/// An event that was published.
#[derive(Debug)]
struct Placed {
    asked: Asked,
    /// The place among the events of its request.
    place: usize,
    words: String,
    published: Timestamp,
    /// When the first and the last task it led to were enqueued.
    dispatched: Option<(Timestamp, Timestamp)>,
}

impl Order {
    /// Remembers the events of a request that is over.
    pub(crate) fn saw(&mut self, asked: Asked, tree: &MessageTree) {
        let roots = tree.roots.iter().enumerate();
        for (place, root) in roots.filter(|(_, root)| root.kind == NodeKind::Event && root.caused_by.is_none()) {
            let (Some(subject), Some(published)) = (&root.subject, root.published_at) else {
                continue;
            };
            if self.remembered == REMEMBERED {
                return;
            }
            self.remembered += 1;
            let events = self.of_aggregates.entry((subject.clone(), asked.rail)).or_default();
            events.push(Placed {
                asked,
                place,
                words: format!("{} {} of {subject}", root.name, root.id),
                published,
                dispatched: dispatched(root),
            });
        }
    }

    /// Compares everything that was seen.
    pub(crate) fn compare(&self) -> Comparison {
        let mut comparison = Comparison::default();
        for events in self.of_aggregates.values() {
            compare(events, &mut comparison);
        }
        comparison
    }
}

/// Tasks that came again are left out: what is recorded of them may be of the second time.
fn dispatched(event: &TreeNode) -> Option<(Timestamp, Timestamp)> {
    let tasks = event.consequences.iter().filter(|node| node.kind == NodeKind::Task);
    let began = tasks.filter(|task| task.ends == 1).map(|task| task.began_at);
    let (first, last) = (began.clone().min()?, began.max()?);
    Some((first, last))
}

/// The events of one aggregate.
fn compare(events: &[Placed], comparison: &mut Comparison) {
    let mut by_making: Vec<&Placed> = events.iter().collect();
    by_making.sort_by_key(|event| (event.asked.made, event.place));
    let mut by_answer: Vec<&Placed> = events.iter().collect();
    by_answer.sort_by_key(|event| event.asked.answered);
    let mut earlier = by_answer.into_iter().peekable();
    // The latest among all that certainly happened before.
    let (mut published, mut dispatched): (Option<&Placed>, Option<&Placed>) = (None, None);
    let mut before: Option<&Placed> = None;
    for event in by_making {
        while let Some(answered) = earlier.next_if(|other| other.asked.answered < event.asked.made) {
            later(&mut published, answered, |placed| Some(placed.published));
            later(&mut dispatched, answered, |placed| {
                placed.dispatched.map(|(_, last)| last)
            });
        }
        // Of one request, the place among its events tells.
        let sibling = before.filter(|other| other.asked.made == event.asked.made);
        before = Some(event);
        let firsts = [published, dispatched, sibling];
        comparison.compared += u64::from(firsts.iter().any(Option::is_some));
        let by_dispatch = |first: &&Placed| event.dispatched.is_some() && first.dispatched.is_some();
        comparison.dispatches += u64::from(firsts.iter().flatten().any(by_dispatch));
        let overtaken = firsts.into_iter().flatten().find(|first| overtook(event, first));
        if let Some(first) = overtaken {
            let ahead = first.published.signed_duration_since(event.published);
            let words = format!(
                "{} came before {}, which happened first (published {} µs before it)",
                event.words,
                first.words,
                ahead.num_microseconds().unwrap_or(i64::MAX)
            );
            comparison.overtaking.push(words);
        }
    }
}

fn later<'a>(latest: &mut Option<&'a Placed>, other: &'a Placed, when: impl Fn(&Placed) -> Option<Timestamp>) {
    if let Some(at) = when(other)
        && latest.and_then(&when).is_none_or(|known| known < at)
    {
        *latest = Some(other);
    }
}

fn overtook(event: &Placed, first: &Placed) -> bool {
    let was_dispatched_earlier = match (event.dispatched, first.dispatched) {
        (Some((begin, _)), Some((_, end))) => begin < end,
        _ => false,
    };
    event.published < first.published || was_dispatched_earlier
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;

    /// An event about `subject` that was published in second `at` and led to a task in second `task`.
    fn event(subject: &str, at: u32, task: u32) -> Value {
        let stamp = |second: u32| format!("2026-11-23T10:00:{second:02}Z");
        json!({
            "id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ab", "kind": "event", "name": "A", "state": "dispatched",
            "subject": subject, "began_at": stamp(0), "published_at": stamp(at),
            "consequences": [{
                "id": "0192f0c1-7a3b-7c4d-8e5f-0123456789ac", "kind": "task", "name": "a/b", "state": "completed",
                "began_at": stamp(task), "ends": 1
            }]
        })
    }

    fn tree(roots: &[Value]) -> MessageTree {
        serde_json::from_value(json!({"correlation_id": "demo", "is_over": true, "roots": roots})).unwrap()
    }

    /// Requests, each made in a second and answered in a later one.
    fn compared(requests: &[(u64, u64, &[Value])]) -> Comparison {
        let outbox = requests
            .iter()
            .map(|(made, answered, roots)| (Rail::Outbox, *made, *answered, *roots));
        compared_of(&outbox.collect::<Vec<_>>())
    }

    fn compared_of(requests: &[(Rail, u64, u64, &[Value])]) -> Comparison {
        let (zero, mut order) = (Instant::now(), Order::default());
        for (rail, made, answered, roots) in requests {
            let at = |second: &u64| zero + Duration::from_secs(*second);
            let asked = Asked {
                rail: *rail,
                made: at(made),
                answered: at(answered),
            };
            order.saw(asked, &tree(roots));
        }
        order.compare()
    }

    #[test]
    fn what_was_asked_for_one_after_the_other_must_come_in_that_order() {
        let good = compared(&[(3, 4, &[event("p", 6, 7)]), (0, 1, &[event("p", 5, 6)])]);
        assert_eq!((good.compared, good.overtaking.len()), (1, 0));
        let published = compared(&[(3, 4, &[event("p", 5, 7)]), (0, 1, &[event("p", 6, 6)])]);
        assert_eq!(published.overtaking.len(), 1, "{published:?}");
        let dispatched = compared(&[(3, 4, &[event("p", 6, 7)]), (0, 1, &[event("p", 5, 8)])]);
        assert_eq!(dispatched.overtaking.len(), 1, "{dispatched:?}");
    }

    #[test]
    fn events_of_one_request_come_in_their_order() {
        let good = compared(&[(0, 1, &[event("p", 5, 6), event("p", 5, 6)])]);
        assert_eq!((good.compared, good.overtaking.len()), (1, 0));
        let bad = compared(&[(0, 1, &[event("p", 6, 6), event("p", 5, 6)])]);
        assert_eq!(bad.overtaking.len(), 1);
    }

    #[test]
    fn what_happened_at_the_same_time_or_to_others_has_no_order() {
        let overlapping = compared(&[(0, 3, &[event("p", 6, 7)]), (2, 4, &[event("p", 5, 6)])]);
        assert_eq!((overlapping.compared, overlapping.overtaking.len()), (0, 0));
        let others = compared(&[(0, 1, &[event("p", 6, 7)]), (2, 4, &[event("q", 5, 6)])]);
        assert_eq!((others.compared, others.overtaking.len()), (0, 0));
        let rails = compared_of(&[
            (Rail::Outbox, 0, 1, &[event("p", 6, 7)]),
            (Rail::Direct, 2, 3, &[event("p", 5, 6)]),
        ]);
        assert_eq!((rails.compared, rails.overtaking.len()), (0, 0));
    }
}
