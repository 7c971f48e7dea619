//! The shorter way from the outbox to the queue, where a provider offers it.

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::events::{Claim, Claimed, EventFilter, Marked, OutboxError, OutboxMessage, dispatch_envelope};
use aftercommit_domain::tasks::Outcome;

use crate::conformance::support::{
    PAST_LEASE, claim, commit, consume, message_of, nothing_comes, ok, publish, soon, stats, take, task_id,
};
use crate::conformance::{Messages, Provider};

/// The scenarios of a transfer: `transfer_conformance!(Provider)`, for a provider that offers one.
#[macro_export]
macro_rules! transfer_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            transfer,
            [
                transferred_rows_are_on_their_topics_and_out_of_the_outbox_and_events_are_logged,
                tasks_of_one_order_key_keep_their_order_when_they_are_transferred,
                a_stale_claim_refuses_the_whole_transfer_and_nothing_changes,
                a_task_over_a_limit_refuses_the_whole_transfer_and_nothing_changes,
                a_task_that_is_there_already_is_not_added_again_and_its_row_leaves,
                what_waited_behind_a_transferred_row_goes_on,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 6;

/// Each claimed row with the task it becomes.
fn rows<P: Provider>(provider: &P, claimed: &[Claimed]) -> Vec<(Claim, TaskEnvelope)> {
    let limits = provider.services().envelopes.codec().limits();
    let task_of = |row: &Claimed| match message_of(row) {
        OutboxMessage::Task(task) => task,
        OutboxMessage::Event(mut event) => {
            event.sequence = u64::try_from(row.claim.position).ok();
            dispatch_envelope(&event, limits).expect("an event becomes a task")
        }
    };
    claimed.iter().map(|row| (row.claim, task_of(row))).collect()
}

async fn transfer<P: Provider>(provider: &P, rows: Vec<(Claim, TaskEnvelope)>) -> Result<Marked, OutboxError> {
    let transfer = provider.outbox_transfer().expect("a provider that offers a transfer");
    soon("a transfer", transfer.transfer(rows)).await
}

fn all(changed: u64) -> Marked {
    Marked { changed, stale: 0 }
}

/// Transferred rows are on their topics and out of the outbox, and events are in the event log, once each.
pub async fn transferred_rows_are_on_their_topics_and_out_of_the_outbox_and_events_are_logged<P: Provider>(
    provider: &P,
) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let (event, task) = (messages.row("a"), OutboxMessage::Task(messages.task()));
    let (event_id, task_id_) = (event.id(), task.id());
    commit(provider, vec![event, task]).await;
    let rows = rows(provider, &claim(&*outbox, 10).await);
    let topics: Vec<_> = rows.iter().map(|(_, task)| task.topic.clone()).collect();
    assert_eq!(transfer(provider, rows).await.expect("transferred"), all(2));
    let left = stats(&*outbox).await;
    assert_eq!((left.waiting, left.claimed), (0, 0));
    for (topic, id) in topics.iter().zip([event_id, task_id_]) {
        let mut deliveries = consume(provider, topic, 10).await;
        let taken = take(&mut deliveries, 1).await;
        assert_eq!(task_id(&*taken[0]), id);
        nothing_comes(&mut deliveries, "each once").await;
    }
    let logged = ok("the event log", provider.event_log().list(&EventFilter::default())).await;
    let logged: Vec<_> = logged.iter().map(|logged| logged.event.id).collect();
    assert_eq!(logged, [event_id]);
}

/// Tasks of one order key run in the order of their rows.
pub async fn tasks_of_one_order_key_keep_their_order_when_they_are_transferred<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let tasks: Vec<_> = (0..5).map(|_| messages.ordered_task("key")).collect();
    let (topic, ids): (_, Vec<_>) = (tasks[0].topic.clone(), tasks.iter().map(|task| task.id).collect());
    commit(provider, tasks.into_iter().map(OutboxMessage::Task).collect()).await;
    let rows = rows(provider, &claim(&*outbox, 10).await);
    assert_eq!(transfer(provider, rows).await.expect("transferred"), all(5));
    let mut deliveries = consume(provider, &topic, 10).await;
    let mut seen = Vec::new();
    for _ in 0..5 {
        let delivery = take(&mut deliveries, 1).await.remove(0);
        seen.push(task_id(&*delivery));
        nothing_comes(&mut deliveries, "the next waits for this one").await;
        ok("an ack", delivery.ack(&Outcome::Completed)).await;
    }
    assert_eq!(seen, ids);
}

/// A stale claim refuses the whole transfer, and nothing was changed.
pub async fn a_stale_claim_refuses_the_whole_transfer_and_nothing_changes<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let task = messages.task();
    let topic = task.topic.clone();
    commit(provider, vec![OutboxMessage::Task(task)]).await;
    let stale = claim(&*outbox, 10).await;
    provider.advance(PAST_LEASE).await;
    ok("lost rows to be freed", outbox.rescue_expired()).await;
    commit(provider, vec![OutboxMessage::Task(messages.task())]).await;
    // Another relay's by now.
    let mut both = rows(provider, &claim(&*outbox, 10).await);
    assert_eq!(both.len(), 2);
    both.extend(rows(provider, &stale));
    both.remove(0);
    let refused = transfer(provider, both).await;
    assert!(matches!(refused, Err(OutboxError::Stale { .. })), "{refused:?}");
    assert_eq!(stats(&*outbox).await.claimed, 2);
    let mut deliveries = consume(provider, &topic, 10).await;
    nothing_comes(&mut deliveries, "nothing was published").await;
}

/// A task over a limit refuses the whole transfer, and nothing was changed.
pub async fn a_task_over_a_limit_refuses_the_whole_transfer_and_nothing_changes<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    commit(
        provider,
        vec![
            OutboxMessage::Task(messages.task()),
            OutboxMessage::Task(messages.task()),
        ],
    )
    .await;
    let mut rows = rows(provider, &claim(&*outbox, 10).await);
    let topic = rows[0].1.topic.clone();
    rows[1].1 = messages.too_large_task();
    let refused = transfer(provider, rows).await;
    assert!(
        matches!(refused, Err(OutboxError::Refused { .. } | OutboxError::Limit(_))),
        "{refused:?}"
    );
    assert_eq!(stats(&*outbox).await.claimed, 2);
    let mut deliveries = consume(provider, &topic, 10).await;
    nothing_comes(&mut deliveries, "nothing was published").await;
}

/// A task whose id waits already is not added again, and its row leaves all the same.
pub async fn a_task_that_is_there_already_is_not_added_again_and_its_row_leaves<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let task = messages.task();
    let (topic, id) = (task.topic.clone(), task.id);
    publish(provider, vec![task.clone()]).await;
    commit(provider, vec![OutboxMessage::Task(task)]).await;
    let rows = rows(provider, &claim(&*outbox, 10).await);
    assert_eq!(transfer(provider, rows).await.expect("transferred"), all(1));
    assert_eq!(stats(&*outbox).await.claimed, 0);
    let mut deliveries = consume(provider, &topic, 10).await;
    let taken = take(&mut deliveries, 1).await;
    assert_eq!(task_id(&*taken[0]), id);
    nothing_comes(&mut deliveries, "it is there once").await;
}

/// Rows of an aggregate that waited behind a transferred one are claimable at once.
pub async fn what_waited_behind_a_transferred_row_goes_on<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    commit(provider, (0..3).map(|_| messages.row("a")).collect()).await;
    let first = claim(&*outbox, 1).await;
    assert!(claim(&*outbox, 10).await.is_empty(), "the others wait");
    let rows = rows(provider, &first);
    assert_eq!(transfer(provider, rows).await.expect("transferred"), all(1));
    assert_eq!(claim(&*outbox, 10).await.len(), 2);
}
