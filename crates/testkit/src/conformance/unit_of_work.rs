//! The unit of work: everything at once, or nothing.

use std::collections::HashSet;

use aftercommit_domain::contract::{Cause, CorrelationId, Tenant};
use aftercommit_domain::events::{OutboxError, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use futures::FutureExt;
use tokio::task::JoinSet;

use crate::conformance::support::{append, begin, claim, commit, id_of, ids_of, ok, soon, stats};
use crate::conformance::{Messages, Provider};

/// The scenarios of a unit of work: `unit_of_work_conformance!(Provider)`.
#[macro_export]
macro_rules! unit_of_work_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            unit_of_work,
            [
                nothing_is_visible_before_commit,
                a_dropped_unit_of_work_leaves_nothing,
                a_cancelled_begin_leaves_no_transaction_open,
                a_message_of_another_tenant_is_refused_and_nothing_is_written,
                a_unit_of_work_of_an_organization_or_the_system_writes_for_its_projects,
                a_message_over_the_limit_is_refused_and_nothing_is_written,
                the_writer_carries_the_tenant_and_the_cause_it_was_begun_with,
                several_writers_of_one_unit_of_work_write_into_one_transaction,
                concurrent_units_of_work_all_commit,
                two_thousand_messages_in_one_transaction_all_leave,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 10;

fn tenant() -> Tenant {
    Tenant::project(1_i64, 10_i64)
}

/// Nothing a unit of work did is seen before its commit, and all of it right after.
pub async fn nothing_is_visible_before_commit<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let rows = vec![messages.row("a"), OutboxMessage::Task(messages.task())];
    let ids: Vec<MessageId> = rows.iter().map(OutboxMessage::id).collect();
    let mut unit_of_work = begin(provider, &tenant()).await;
    append(&mut unit_of_work, rows).await;
    assert_eq!(stats(&*outbox).await.waiting, 0, "nothing waits before the commit");
    if P::CONCURRENT_TRANSACTIONS {
        assert!(
            claim(&*outbox, 10).await.is_empty(),
            "nothing is claimed before the commit"
        );
    }
    ok("the commit", unit_of_work.commit()).await;
    assert_eq!(
        ids_of(&claim(&*outbox, 10).await),
        ids,
        "everything is there after the commit"
    );
}

/// A unit of work that is dropped rolls back, and keeps nobody waiting.
pub async fn a_dropped_unit_of_work_leaves_nothing<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    for _ in 0..20 {
        let mut unit_of_work = begin(provider, &tenant()).await;
        append(&mut unit_of_work, vec![messages.row("a")]).await;
        drop(unit_of_work);
    }
    assert!(claim(&*outbox, 100).await.is_empty());
    let kept = messages.row("a");
    let id = kept.id();
    commit(provider, vec![kept]).await;
    assert_eq!(ids_of(&claim(&*outbox, 100).await), [id]);
}

/// Cancelling `begin` leaves no transaction open.
pub async fn a_cancelled_begin_leaves_no_transaction_open<P: Provider>(provider: &P) {
    let (messages, factory) = (Messages::new(provider.services()), provider.units_of_work());
    for _ in 0..20 {
        // Polled once: far enough to have started, and dropped before or after it was answered.
        let _ = factory.begin(&tenant(), &Cause::root()).now_or_never();
    }
    commit(provider, vec![messages.row("a")]).await;
    assert_eq!(claim(&*provider.outbox(), 10).await.len(), 1);
}

/// A message of another tenant than the transaction's is refused, and nothing of the call is written.
pub async fn a_message_of_another_tenant_is_refused_and_nothing_is_written<P: Provider>(provider: &P) {
    let own = Messages::new(provider.services());
    for foreign in [
        Tenant::project(1_i64, 11_i64),
        Tenant::project(2_i64, 10_i64),
        Tenant::organization(2_i64),
    ] {
        let foreign = Messages::of(provider.services(), foreign);
        let mut unit_of_work = begin(provider, &tenant()).await;
        let call = vec![own.row("a"), foreign.row("b"), OutboxMessage::Task(foreign.task())];
        let refused = soon("the refusal", unit_of_work.outbox().append(call)).await;
        assert!(matches!(refused, Err(OutboxError::Tenant(_))), "got {refused:?}");
        // A use case that ignores the refusal must not get half of the call through.
        let _ = soon("the end of the transaction", unit_of_work.commit()).await;
    }
    assert!(claim(&*provider.outbox(), 10).await.is_empty());
}

/// A unit of work of an organization writes for its projects, one of the system for anyone.
pub async fn a_unit_of_work_of_an_organization_or_the_system_writes_for_its_projects<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    for tenant in [Tenant::organization(1_i64), Tenant::System] {
        let mut unit_of_work = begin(provider, &tenant).await;
        append(&mut unit_of_work, vec![messages.row("a")]).await;
        ok("the commit", unit_of_work.commit()).await;
    }
    assert_eq!(claim(&*provider.outbox(), 10).await.len(), 2);
}

/// A message over the limit is refused, and nothing of the call is written.
pub async fn a_message_over_the_limit_is_refused_and_nothing_is_written<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let too_large = [
        OutboxMessage::Event(messages.too_large_event("b")),
        OutboxMessage::Task(messages.too_large_task()),
    ];
    for message in too_large {
        let mut unit_of_work = begin(provider, &tenant()).await;
        let call = vec![messages.row("a"), message];
        let refused = soon("the refusal", unit_of_work.outbox().append(call)).await;
        assert!(matches!(refused, Err(OutboxError::Limit(_))), "got {refused:?}");
        let _ = soon("the end of the transaction", unit_of_work.commit()).await;
    }
    assert!(claim(&*provider.outbox(), 10).await.is_empty());
}

/// The writer knows whose transaction it is and why it happens.
pub async fn the_writer_carries_the_tenant_and_the_cause_it_was_begun_with<P: Provider>(provider: &P) {
    let cause = Cause {
        correlation: Some(CorrelationId::new("request-1").expect("a valid id")),
        ..Cause::root()
    };
    let factory = provider.units_of_work();
    let mut unit_of_work = ok("a unit of work to begin", factory.begin(&tenant(), &cause)).await;
    assert_eq!(*unit_of_work.tenant(), tenant());
    assert_eq!(*unit_of_work.outbox().cause(), cause);
}

/// Several writers of one unit of work write into one transaction, in order.
pub async fn several_writers_of_one_unit_of_work_write_into_one_transaction<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let rows: Vec<OutboxMessage> = (0..5).map(|_| messages.row("a")).collect();
    let ids: Vec<MessageId> = rows.iter().map(OutboxMessage::id).collect();
    let mut unit_of_work = begin(provider, &tenant()).await;
    for row in rows {
        append(&mut unit_of_work, vec![row]).await;
    }
    append(&mut unit_of_work, Vec::new()).await;
    ok("the commit", unit_of_work.commit()).await;
    assert_eq!(ids_of(&claim(&*provider.outbox(), 10).await), ids);
}

/// Any number of concurrent units of work all commit, each with all of its messages.
pub async fn concurrent_units_of_work_all_commit<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let mut expected = HashSet::new();
    let mut running = JoinSet::new();
    for number in 0..32 {
        let rows = vec![
            messages.row(&format!("own-{number}")),
            messages.row("shared"),
            OutboxMessage::Task(messages.task()),
        ];
        expected.extend(rows.iter().map(OutboxMessage::id));
        let factory = provider.units_of_work();
        running.spawn(async move {
            let mut unit_of_work = ok("a unit of work to begin", factory.begin(&tenant(), &Cause::root())).await;
            append(&mut unit_of_work, rows).await;
            ok("a unit of work to commit", unit_of_work.commit()).await;
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.expect("every unit of work commits");
    }
    let found = drain(provider, expected.len()).await;
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
}

/// A transaction may hold two thousand messages; all of them leave.
pub async fn two_thousand_messages_in_one_transaction_all_leave<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    let rows: Vec<OutboxMessage> = (0..2000).map(|n| messages.row(&format!("{}", n % 500))).collect();
    let ids: Vec<MessageId> = rows.iter().map(OutboxMessage::id).collect();
    commit(provider, rows).await;
    assert_eq!(drain(provider, ids.len()).await, ids, "in write order");
}

/// Claims and marks until the outbox is empty, which must be after exactly `count` rows.
async fn drain<P: Provider>(provider: &P, count: usize) -> Vec<MessageId> {
    let outbox = provider.outbox();
    let mut found = Vec::new();
    loop {
        let rows = claim(&*outbox, 300).await;
        if rows.is_empty() {
            assert_eq!(stats(&*outbox).await.waiting, 0, "nothing waits that cannot be claimed");
            assert_eq!(found.len(), count);
            return found;
        }
        found.extend(rows.iter().map(id_of));
        assert!(found.len() <= count, "a row leaves once");
        let claims: Vec<_> = rows.iter().map(|row| row.claim).collect();
        ok("rows to be marked", outbox.mark_published(&claims)).await;
    }
}
