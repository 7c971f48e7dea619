//! The order within an aggregate.

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::events::{OutboxMessage, Release};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{hours, seconds};

use crate::conformance::outbox::rows::{changed, commit_each, lose_leases, mark, release, retry};
use crate::conformance::support::{append, begin, claim, commit, failure, ids_of, ok, stats};
use crate::conformance::{Messages, Provider};

/// Rows of one aggregate leave in write order, however few are claimed at once.
pub async fn rows_of_one_aggregate_leave_in_write_order<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let aggregates = ["a", "b", "a", "a", "b", "c", "a", "b"];
    let ids = commit_each(provider, &aggregates).await;
    let mut left = Vec::new();
    while left.len() < ids.len() {
        let rows = claim(&*outbox, 2).await;
        assert!(!rows.is_empty(), "the rest can be claimed");
        left.extend(ids_of(&rows));
        mark(&*outbox, &rows).await;
    }
    for aggregate in ["a", "b", "c"] {
        let of_aggregate = |id: &&MessageId| {
            let written = ids.iter().zip(aggregates).find(|(written, _)| written == id);
            written.is_some_and(|(_, of)| of == aggregate)
        };
        let expected: Vec<&MessageId> = ids.iter().filter(of_aggregate).collect();
        let found: Vec<&MessageId> = left.iter().filter(of_aggregate).collect();
        assert_eq!(found, expected, "aggregate {aggregate}");
    }
}

/// While a row is claimed, the later rows of its aggregate wait; those of others do not.
pub async fn a_claimed_row_holds_back_the_later_rows_of_its_aggregate_only<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let ids = commit_each(provider, &["a", "a", "b"]).await;
    let head = claim(&*outbox, 1).await;
    assert_eq!(ids_of(&head), [ids[0]]);
    assert_eq!(
        ids_of(&claim(&*outbox, 10).await),
        [ids[2]],
        "the other aggregate goes on"
    );
    mark(&*outbox, &head).await;
    assert_eq!(
        ids_of(&claim(&*outbox, 10).await),
        [ids[1]],
        "the next of the aggregate follows"
    );
}

/// While a row waits for its retry, the later rows of its aggregate wait; those of others do not. Then they leave
/// together, in order.
pub async fn a_row_that_waits_for_its_retry_holds_back_the_later_rows_of_its_aggregate_only<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let ids = commit_each(provider, &["a", "a", "b"]).await;
    let head = claim(&*outbox, 1).await;
    assert_eq!(release(&*outbox, &head[0], retry(hours(1), true)).await, changed(1));
    assert_eq!(ids_of(&claim(&*outbox, 10).await), [ids[2]]);
    provider.advance(hours(1).saturating_sub(seconds(1))).await;
    ok("the rescue", outbox.rescue_expired()).await;
    let early = claim(&*outbox, 10).await;
    assert!(ids_of(&early).iter().all(|id| *id == ids[2]), "not before its time");
    provider.advance(seconds(2)).await;
    let due = ids_of(&claim(&*outbox, 10).await);
    let of_a: Vec<MessageId> = due.into_iter().filter(|id| *id != ids[2]).collect();
    assert_eq!(of_a, ids[..2]);
}

/// A quarantined row is kept aside, and its aggregate goes on.
pub async fn a_quarantined_row_lets_its_aggregate_go_on<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let ids = commit_each(provider, &["a", "a"]).await;
    let head = claim(&*outbox, 1).await;
    let aside = Release::Quarantine { failure: failure() };
    assert_eq!(release(&*outbox, &head[0], aside).await, changed(1));
    let next = claim(&*outbox, 10).await;
    assert_eq!(ids_of(&next), ids[1..]);
    mark(&*outbox, &next).await;
    lose_leases(provider).await;
    assert!(
        claim(&*outbox, 10).await.is_empty(),
        "a quarantined row stays where it is"
    );
    assert_eq!(stats(&*outbox).await.quarantined, 1);
}

/// Order is per organization: the same aggregate id of another one waits for nothing.
pub async fn the_same_aggregate_of_another_organization_is_another_aggregate<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a"]).await;
    assert_eq!(claim(&*outbox, 10).await.len(), 1);
    let other = Tenant::project(2_i64, 10_i64);
    commit(provider, vec![Messages::of(provider.services(), other).row("a")]).await;
    assert_eq!(claim(&*outbox, 10).await.len(), 1);
}

/// Whether an event names a project makes its aggregate no other one.
pub async fn events_of_one_aggregate_stay_in_order_whether_they_name_a_project_or_not<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let organization = Tenant::organization(1_i64);
    let rows = vec![
        Messages::new(provider.services()).row("a"),
        Messages::of(provider.services(), organization.clone()).row("a"),
        Messages::new(provider.services()).row("a"),
    ];
    let ids: Vec<MessageId> = rows.iter().map(OutboxMessage::id).collect();
    let mut unit_of_work = begin(provider, &organization).await;
    append(&mut unit_of_work, rows).await;
    ok("the commit", unit_of_work.commit()).await;
    for id in ids {
        let head = claim(&*outbox, 1).await;
        assert_eq!(ids_of(&head), [id]);
        assert!(claim(&*outbox, 10).await.is_empty(), "what follows it waits");
        mark(&*outbox, &head).await;
    }
}

/// Tasks without an order key wait for nothing.
pub async fn rows_without_an_order_do_not_wait_for_each_other<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let tasks: Vec<_> = messages.tasks(2).into_iter().map(OutboxMessage::Task).collect();
    let ids: Vec<MessageId> = tasks.iter().map(OutboxMessage::id).collect();
    commit(provider, tasks).await;
    assert_eq!(ids_of(&claim(&*outbox, 1).await), ids[..1]);
    assert_eq!(ids_of(&claim(&*outbox, 1).await), ids[1..]);
}
