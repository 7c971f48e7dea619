//! The event log: each event once, newest first.

use aftercommit_domain::contract::{EventEnvelope, EventName, OrganizationId, Tenant};
use aftercommit_domain::events::{EventFilter, EventLog, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Clock, seconds};

use crate::conformance::support::{claim, commit, ok};
use crate::conformance::{Messages, Provider};

/// The scenarios of an event log: `event_log_conformance!(Provider)`.
#[macro_export]
macro_rules! event_log_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            event_log,
            [
                a_recorded_event_is_kept_as_it_is,
                an_event_recorded_twice_is_kept_once,
                a_relayed_event_that_is_recorded_again_is_kept_once,
                events_are_listed_newest_first,
                a_filter_answers_only_what_fits,
                one_page_after_another_answers_each_event_once_in_the_order_of_publishing,
                old_events_are_forgotten_in_steps_and_new_ones_kept,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 7;

async fn list(log: &dyn EventLog, filter: &EventFilter) -> Vec<MessageId> {
    let events = ok("events to be listed", log.list(filter)).await;
    events.iter().map(|logged| logged.event.id).collect()
}

/// A recorded event is found as it was recorded; one that was not is not.
pub async fn a_recorded_event_is_kept_as_it_is<P: Provider>(provider: &P) {
    let (messages, log) = (Messages::new(provider.services()), provider.event_log());
    let events: Vec<EventEnvelope> = vec![messages.event("a"), messages.event("b")];
    ok("events to be recorded", log.record(&events)).await;
    for event in events {
        let logged = ok("an event to be found", log.find(event.id))
            .await
            .expect("it is there");
        assert_eq!(logged.event, event);
    }
    let never = messages.event("a");
    assert!(ok("no event to be found", log.find(never.id)).await.is_none());
    ok("no events to be recorded", log.record(&[])).await;
}

/// An event is kept once, by id, however often it is recorded.
pub async fn an_event_recorded_twice_is_kept_once<P: Provider>(provider: &P) {
    let (messages, log) = (Messages::new(provider.services()), provider.event_log());
    let event = messages.event("a");
    let first = {
        ok("an event to be recorded", log.record(std::slice::from_ref(&event))).await;
        ok("the event to be found", log.find(event.id)).await
    };
    provider.advance(seconds(60)).await;
    ok(
        "a known event to be recorded",
        log.record(&[event.clone(), event.clone()]),
    )
    .await;
    assert_eq!(list(&*log, &EventFilter::default()).await, [event.id]);
    assert_eq!(
        ok("the event to be found", log.find(event.id)).await,
        first,
        "the first record stays"
    );
}

/// An event that came through the outbox and is recorded again is kept once.
pub async fn a_relayed_event_that_is_recorded_again_is_kept_once<P: Provider>(provider: &P) {
    let (messages, log, outbox) = (
        Messages::new(provider.services()),
        provider.event_log(),
        provider.outbox(),
    );
    let (event, other) = (messages.event("a"), messages.event("b"));
    ok("an event to be recorded", log.record(std::slice::from_ref(&other))).await;
    let rows = vec![OutboxMessage::Event(event.clone()), OutboxMessage::Event(other.clone())];
    commit(provider, rows).await;
    let claims: Vec<_> = claim(&*outbox, 10).await.iter().map(|row| row.claim).collect();
    let marked = ok("rows to be marked", outbox.mark_published(&claims)).await;
    assert_eq!(marked.changed, 2, "an event the log knows can be marked, too");
    ok("a known event to be recorded", log.record(std::slice::from_ref(&event))).await;
    let mut listed = list(&*log, &EventFilter::default()).await;
    listed.sort();
    assert_eq!(listed, [event.id, other.id]);
}

/// Events are listed newest first; 50 when no limit is given.
pub async fn events_are_listed_newest_first<P: Provider>(provider: &P) {
    let (messages, log) = (Messages::new(provider.services()), provider.event_log());
    let mut ids = Vec::new();
    for _ in 0..60 {
        let event = messages.event("a");
        ids.push(event.id);
        ok("an event to be recorded", log.record(&[event])).await;
        provider.advance(seconds(1)).await;
    }
    ids.reverse();
    assert_eq!(list(&*log, &EventFilter::default()).await, ids[..50]);
    let three = EventFilter {
        limit: Some(3),
        ..EventFilter::default()
    };
    assert_eq!(list(&*log, &three).await, ids[..3]);
}

/// A list answers only the events that fit every part of its filter.
pub async fn a_filter_answers_only_what_fits<P: Provider>(provider: &P) {
    let log = provider.event_log();
    let own = Messages::new(provider.services());
    let foreign = Messages::of(provider.services(), Tenant::organization(2_i64));
    let early = own.event_named("LetterWritten", "a");
    ok("an event to be recorded", log.record(std::slice::from_ref(&early))).await;
    provider.advance(seconds(60)).await;
    let since = provider.services().clock.now();
    let late = own.event_named("LetterBurned", "a");
    let of_other = foreign.event_named("LetterWritten", "a");
    ok("events to be recorded", log.record(&[late.clone(), of_other.clone()])).await;
    let (none, first) = (EventFilter::default(), Some(OrganizationId::from(1_i64)));
    let written = Some(EventName::constant("LetterWritten"));
    let table = [
        (
            EventFilter {
                name: written.clone(),
                ..none.clone()
            },
            vec![early.id, of_other.id],
        ),
        (
            EventFilter {
                organization_id: first.clone(),
                ..none.clone()
            },
            vec![early.id, late.id],
        ),
        (
            EventFilter {
                since: Some(since),
                ..none.clone()
            },
            vec![late.id, of_other.id],
        ),
        (
            EventFilter {
                until: Some(early.occurred_at),
                ..none.clone()
            },
            vec![early.id],
        ),
        (
            EventFilter {
                name: written,
                organization_id: first,
                since: Some(since),
                ..none
            },
            vec![],
        ),
    ];
    for (filter, mut expected) in table {
        let mut listed = list(&*log, &filter).await;
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected, "{filter:?}");
    }
}

/// One page after another answers each event that fits once, in the order of publishing: those of the outbox as they left
/// it, also when many were published at one time.
pub async fn one_page_after_another_answers_each_event_once_in_the_order_of_publishing<P: Provider>(provider: &P) {
    let (messages, log, outbox) = (
        Messages::new(provider.services()),
        provider.event_log(),
        provider.outbox(),
    );
    let mut expected = Vec::new();
    for _ in 0..3 {
        let rows: Vec<EventEnvelope> = (0..4).map(|_| messages.event("a")).collect();
        expected.extend(rows.iter().map(|event| event.id));
        commit(provider, rows.into_iter().map(OutboxMessage::Event).collect()).await;
        let claims: Vec<_> = claim(&*outbox, 10).await.iter().map(|row| row.claim).collect();
        ok("rows to be marked", outbox.mark_published(&claims)).await;
        provider.advance(seconds(1)).await;
        let direct = messages.event("a");
        expected.push(direct.id);
        let other = messages.event_named("LetterBurned", "a");
        ok("an event to be recorded", log.record(&[direct])).await;
        ok("another to be recorded", log.record(&[other])).await;
        provider.advance(seconds(1)).await;
    }
    let filter = EventFilter {
        name: Some(EventName::constant("LetterWritten")),
        ..EventFilter::default()
    };
    for limit in [1, 2, 7, 1000] {
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let page = ok("a page", log.page(&filter, after.as_ref(), limit)).await;
            assert!(page.len() <= limit as usize, "at most {limit}");
            let Some(last) = page.last() else { break };
            after = Some(last.cursor());
            paged.extend(page.iter().map(|logged| logged.event.id));
        }
        assert_eq!(paged, expected, "pages of {limit}");
    }
}

/// Events published before a time are forgotten, oldest first, at most so many at once; later ones are kept.
pub async fn old_events_are_forgotten_in_steps_and_new_ones_kept<P: Provider>(provider: &P) {
    let (messages, log) = (Messages::new(provider.services()), provider.event_log());
    let old: Vec<EventEnvelope> = (0..3).map(|_| messages.event("a")).collect();
    ok("events to be recorded", log.record(&old)).await;
    provider.advance(seconds(60)).await;
    let new = messages.event("a");
    ok("an event to be recorded", log.record(std::slice::from_ref(&new))).await;
    let before = provider.services().clock.now() - chrono::Duration::seconds(30);
    assert_eq!(ok("old events to be forgotten", log.prune(before, 2)).await, 2);
    assert_eq!(ok("old events to be forgotten", log.prune(before, 2)).await, 1);
    assert_eq!(ok("no more events to be forgotten", log.prune(before, 2)).await, 0);
    assert_eq!(list(&*log, &EventFilter::default()).await, vec![new.id]);
}
