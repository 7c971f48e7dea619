//! What led to a message and what it led to: found wherever it is, and nothing of others.

use std::collections::BTreeSet;

use aftercommit_domain::contract::{Cause, CorrelationId, EventEnvelope, TaskEnvelope};
use aftercommit_domain::events::{OutboxMessage, Release};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::lineage::{Relative, Relatives, TracedEvent, TracedTask};
use aftercommit_domain::tasks::{Outcome, Reason, TaskState};

use crate::conformance::messages::TOPIC;
use crate::conformance::support::{claim, commit, consume, failure, next, ok, publish};
use crate::conformance::{Messages, Provider};

/// The scenarios of a lineage: `lineage_conformance!(Provider)`.
#[macro_export]
macro_rules! lineage_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            lineage,
            [
                an_event_is_found_in_the_outbox_aside_and_in_the_log,
                a_task_is_found_by_what_it_belongs_to_wherever_it_is,
                a_task_of_the_outbox_is_found_before_it_reaches_its_topic,
                nothing_of_another_correlation_is_answered_however_alike_it_is,
                more_than_was_asked_for_is_cut_and_said_to_be,
                messages_are_found_by_their_ids_and_unknown_ones_left_out,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 6;

fn correlation(text: &str) -> CorrelationId {
    CorrelationId::new(text).expect("it is one")
}

fn cause(text: &str, causation: Option<MessageId>) -> Cause {
    Cause {
        correlation: Some(correlation(text)),
        causation,
        trace: None,
    }
}

async fn of<P: Provider>(provider: &P, text: &str) -> Relatives {
    let lineage = provider.lineage();
    ok("what belongs together", lineage.of(&correlation(text), 100)).await
}

fn only(relatives: Relatives) -> Relative {
    assert!(!relatives.is_cut);
    let [only] = <[Relative; 1]>::try_from(relatives.messages).expect("there is one message");
    only
}

fn event_of(relative: Relative) -> TracedEvent {
    match relative {
        Relative::Event(event) => *event,
        Relative::Task(task) => panic!("it is an event: {task:?}"),
    }
}

fn task_of(relative: Relative) -> TracedTask {
    match relative {
        Relative::Task(task) => *task,
        Relative::Event(event) => panic!("it is a task: {event:?}"),
    }
}

fn ids(messages: &[Relative]) -> BTreeSet<MessageId> {
    messages.iter().map(Relative::id).collect()
}

/// An event is found by what it belongs to: while it waits in the outbox, kept aside with the reason, and published. So is
/// one of the direct rail, and one whose id is all it belongs to.
pub async fn an_event_is_found_in_the_outbox_aside_and_in_the_log<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let event = |aggregate: &str, of: &str| EventEnvelope {
        cause: cause(of, Some(messages.event("x").id)),
        ..messages.event(aggregate)
    };
    let (first, second, direct, root) = (
        event("a", "request 1"),
        event("b", "request 2"),
        event("c", "request 3 – \"ü\\\""),
        messages.event("d"),
    );
    let rows = [&first, &second].map(|event| OutboxMessage::Event(event.clone()));
    commit(provider, rows.to_vec()).await;
    for written in [&first, &second] {
        let text = written.cause.correlation.as_ref().map_or("", CorrelationId::as_str);
        let waiting = event_of(only(of(provider, text).await));
        assert_eq!(&waiting.event, written);
        assert_eq!((waiting.published_at, waiting.set_aside), (None, None));
    }
    let claimed = claim(&*outbox, 10).await;
    let [of_first, of_second] = [claimed[0].claim, claimed[1].claim];
    ok("the first to be marked", outbox.mark_published(&[of_first])).await;
    let aside = Release::Quarantine { failure: failure() };
    ok("the second to be kept aside", outbox.release(vec![(of_second, aside)])).await;
    ok(
        "events to be recorded",
        provider.event_log().record(&[direct.clone(), root.clone()]),
    )
    .await;

    let published = event_of(only(of(provider, "request 1").await));
    assert_eq!((published.event.id, published.event.cause), (first.id, first.cause));
    assert!(published.published_at.is_some() && published.set_aside.is_none());
    let aside = event_of(only(of(provider, "request 2").await));
    assert_eq!((aside.event.id, aside.published_at), (second.id, None));
    assert!(aside.set_aside.is_some_and(|reason| reason.contains("it did not work")));
    let text = direct.cause.correlation.as_ref().map_or("", CorrelationId::as_str);
    assert_eq!(event_of(only(of(provider, text).await)).event, direct);
    assert_eq!(event_of(only(of(provider, &root.id.to_string()).await)).event, root);
}

/// A task is found by what it belongs to, with its state and its cause: while it waits and runs, when it ended, and when it is
/// dead. A queue that does not show each task finds what ended or died.
pub async fn a_task_is_found_by_what_it_belongs_to_wherever_it_is<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let by = messages.event("a").id;
    let task = |of: &str| TaskEnvelope {
        cause: cause(of, Some(by)),
        ..messages.task()
    };
    let shows_each_task = provider.queue_publisher().capabilities().shows_each_task;
    let state = async |of_task: &str| {
        let task = task_of(only(of(provider, of_task).await));
        assert_eq!(task.task.causation_id, Some(by));
        assert!(!task.is_in_outbox && task.task.payload.is_none());
        (task.task.summary.state, task.task.summary.attempts, task.ends)
    };
    publish(provider, vec![task("request 1")]).await;
    if shows_each_task {
        assert_eq!(state("request 1").await, (TaskState::Available, 0, 0));
    }
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the first task").await;
    if shows_each_task {
        assert_eq!(state("request 1").await, (TaskState::Running, 1, 0));
    }
    let skipped = Outcome::Skipped(Reason::new("gone"));
    ok("the first task to be acked", delivery.ack(&skipped)).await;
    assert_eq!(state("request 1").await, (TaskState::Skipped, 1, 1));

    publish(provider, vec![task("request 2")]).await;
    let delivery = next(&mut deliveries, "the second task").await;
    ok("a dead letter", delivery.dead_letter(&failure())).await;
    assert_eq!(state("request 2").await, (TaskState::Dead, 1, 1));
    let dead = task_of(only(of(provider, "request 2").await));
    assert_eq!(dead.task.code.as_deref(), Some("test.failed"));
    assert_eq!(dead.task.summary.reason.as_deref(), Some("it did not work"));
}

/// A task that a transaction wrote is found before the relay took it to its topic.
pub async fn a_task_of_the_outbox_is_found_before_it_reaches_its_topic<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let task = TaskEnvelope {
        cause: cause("request 1", None),
        ..messages.task()
    };
    commit(provider, vec![OutboxMessage::Task(task.clone())]).await;
    let found = task_of(only(of(provider, "request 1").await));
    assert!(found.is_in_outbox && found.set_aside.is_none());
    assert_eq!((found.task.summary.id, found.ends), (task.id, 0));
}

/// Nothing of another correlation is answered, however much it looks like the one that was asked for.
pub async fn nothing_of_another_correlation_is_answered_however_alike_it_is<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let others = [
        "request 1",
        "request 11",
        "REQUEST 12",
        "request 1%",
        "r_quest 12",
        "request 12 ",
    ];
    let events: Vec<EventEnvelope> = others
        .iter()
        .map(|other| EventEnvelope {
            cause: cause(other, None),
            ..messages.event("a")
        })
        .collect();
    ok("events to be recorded", provider.event_log().record(&events)).await;
    commit(provider, events.iter().cloned().map(OutboxMessage::Event).collect()).await;
    publish(
        provider,
        others
            .iter()
            .map(|other| TaskEnvelope {
                cause: cause(other, None),
                ..messages.task()
            })
            .collect(),
    )
    .await;
    for nobodys in ["request 12", "request", "%", "request 1_"] {
        let found = of(provider, nobodys).await;
        assert!(found.messages.is_empty() && !found.is_cut, "{nobodys}: {found:?}");
    }
}

/// At most as many as were asked for are answered, and it is said when there are more.
pub async fn more_than_was_asked_for_is_cut_and_said_to_be<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let events: Vec<EventEnvelope> = (0..4)
        .map(|_| EventEnvelope {
            cause: cause("request 1", None),
            ..messages.event("a")
        })
        .collect();
    ok("events to be recorded", provider.event_log().record(&events)).await;
    let lineage = provider.lineage();
    for (limit, expected, is_cut) in [(3, 3, true), (4, 4, false), (5, 4, false)] {
        let found = ok("what belongs together", lineage.of(&correlation("request 1"), limit)).await;
        assert_eq!((found.messages.len(), found.is_cut), (expected, is_cut), "{limit}");
    }
}

/// Messages are found by their ids wherever they are; ids of which there is no trace are left out.
pub async fn messages_are_found_by_their_ids_and_unknown_ones_left_out<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let (written, logged, task) = (messages.event("a"), messages.event("b"), messages.task());
    ok(
        "an event to be recorded",
        provider.event_log().record(std::slice::from_ref(&logged)),
    )
    .await;
    publish(provider, vec![task.clone()]).await;
    let mut deliveries = consume(provider, &TOPIC, 1).await;
    let delivery = next(&mut deliveries, "the task").await;
    ok("the task to be acked", delivery.ack(&Outcome::Completed)).await;
    commit(provider, vec![OutboxMessage::Event(written.clone())]).await;
    let asked = [written.id, logged.id, task.id, messages.event("c").id];
    let lineage = provider.lineage();
    let found = ok("messages to be found", lineage.find(&asked)).await;
    let mut expected = BTreeSet::from([written.id, logged.id]);
    if P::RECORDS_SUCCESSES {
        expected.insert(task.id);
    }
    assert_eq!(ids(&found), expected);
    assert!(ok("nothing to be found", lineage.find(&[])).await.is_empty());
}
