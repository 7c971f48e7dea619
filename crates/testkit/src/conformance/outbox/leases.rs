//! Claims and their leases.

use std::collections::HashSet;
use std::time::Duration;

use aftercommit_domain::events::{OutboxMessage, OutboxStats, Release};
use aftercommit_domain::time::seconds;
use tokio::task::JoinSet;

use crate::conformance::outbox::rows::{changed, commit_each, lose_leases, mark, release, retry, stale};
use crate::conformance::support::{LEASE, append, begin, claim, commit, failure, id_of, ids_of, ok, stats};
use crate::conformance::{Messages, Provider};

/// A row is claimable the moment its transaction committed, in whatever order transactions commit.
pub async fn a_committed_row_is_claimable_at_once_in_whatever_order_transactions_commit<P: Provider>(provider: &P) {
    let (messages, outbox) = (Messages::new(provider.services()), provider.outbox());
    let (first, second) = (messages.row("a"), messages.row("b"));
    let (first_id, second_id) = (first.id(), second.id());
    if P::CONCURRENT_TRANSACTIONS {
        let mut early = begin(provider, first.tenant()).await;
        append(&mut early, vec![first]).await;
        let mut late = begin(provider, second.tenant()).await;
        append(&mut late, vec![second]).await;
        // The one that wrote later commits first: its row must not be passed over, nor hide the other.
        ok("the later transaction to commit", late.commit()).await;
        assert_eq!(ids_of(&claim(&*outbox, 10).await), [second_id]);
        ok("the earlier transaction to commit", early.commit()).await;
        assert_eq!(ids_of(&claim(&*outbox, 10).await), [first_id]);
    } else {
        for (row, id) in [(first, first_id), (second, second_id)] {
            commit(provider, vec![row]).await;
            assert_eq!(ids_of(&claim(&*outbox, 10).await), [id]);
        }
    }
}

/// A claimed row is not claimed again before its lease ends.
pub async fn a_claimed_row_is_not_claimed_again_before_its_lease_ends<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a", "b"]).await;
    assert_eq!(claim(&*outbox, 10).await.len(), 2);
    assert!(claim(&*outbox, 10).await.is_empty());
    provider.advance(LEASE.saturating_sub(seconds(1))).await;
    let freed = ok("the rescue", outbox.rescue_expired()).await;
    assert_eq!(freed, 0, "a lease that runs is not freed");
    assert!(claim(&*outbox, 10).await.is_empty());
}

/// A row whose lease ended is claimed again, with another token, and without counting an attempt.
pub async fn a_row_whose_lease_ended_is_claimed_again_with_another_token<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let ids = commit_each(provider, &["a", "b"]).await;
    let before = claim(&*outbox, 10).await;
    assert_eq!(
        lose_leases(provider).await,
        2,
        "the rescue answers how many rows it freed"
    );
    let again = claim(&*outbox, 10).await;
    assert_eq!(ids_of(&again), ids);
    for (old, new) in before.iter().zip(&again) {
        assert_eq!(old.claim.position, new.claim.position);
        assert_ne!(old.claim.token, new.claim.token);
        assert_eq!(new.attempts, 0);
    }
}

/// A mark or a release with a stale token changes nothing and says so.
pub async fn a_stale_token_changes_nothing<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    let ids = commit_each(provider, &["a", "b"]).await;
    let old = claim(&*outbox, 10).await;
    lose_leases(provider).await;
    let current = claim(&*outbox, 10).await;
    assert_eq!(mark(&*outbox, &old).await, stale(2));
    for row in &old {
        for what in [
            Release::Untouched,
            retry(Duration::ZERO, true),
            Release::Quarantine { failure: failure() },
        ] {
            assert_eq!(release(&*outbox, row, what).await, stale(1));
        }
    }
    for id in ids {
        assert!(ok("the event log", provider.event_log().find(id)).await.is_none());
    }
    let unchanged = stats(&*outbox).await;
    assert_eq!((unchanged.waiting, unchanged.claimed, unchanged.quarantined), (0, 2, 0));
    assert_eq!(mark(&*outbox, &current).await, changed(2));
    assert_eq!(
        mark(&*outbox, &current).await,
        stale(2),
        "a row that left cannot be marked again"
    );
}

/// Marked rows leave the outbox; events among them are in the event log as they were written, tasks are not.
pub async fn marked_events_move_to_the_event_log_and_marked_tasks_do_not<P: Provider>(provider: &P) {
    let (messages, outbox, log) = (
        Messages::new(provider.services()),
        provider.outbox(),
        provider.event_log(),
    );
    let (event, task) = (messages.event("a"), messages.task());
    let rows = vec![OutboxMessage::Event(event.clone()), OutboxMessage::Task(task.clone())];
    commit(provider, rows).await;
    let claimed = claim(&*outbox, 10).await;
    assert!(
        ok("the event log", log.find(event.id)).await.is_none(),
        "not before it was published"
    );
    assert_eq!(mark(&*outbox, &claimed).await, changed(2));
    let mut logged = ok("the event log", log.find(event.id))
        .await
        .expect("the event is in the log");
    // The position is known only once the row was written.
    logged.event.sequence = None;
    assert_eq!(logged.event, event);
    assert!(ok("the event log", log.find(task.id)).await.is_none());
    assert!(claim(&*outbox, 10).await.is_empty());
    let empty = OutboxStats {
        waiting: 0,
        claimed: 0,
        quarantined: 0,
        oldest: None,
    };
    assert_eq!(stats(&*outbox).await, empty);
}

/// Any number of relays share the rows without overlap.
pub async fn concurrent_relays_share_the_rows_without_overlap<P: Provider>(provider: &P) {
    let messages = Messages::new(provider.services());
    for transaction in 0..10 {
        let rows = (0..60).map(|n| messages.row(&format!("{}", transaction * 60 + n)));
        commit(provider, rows.collect()).await;
    }
    let mut relays = JoinSet::new();
    for _ in 0..8 {
        let outbox = provider.outbox();
        relays.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let rows = claim(&*outbox, 7).await;
                if rows.is_empty() {
                    return taken;
                }
                taken.extend(rows.iter().map(id_of));
                // A store that hands out rows for ever would otherwise keep a relay here for ever.
                assert!(taken.len() <= 600, "no row is claimed twice");
                // Half are published, half stay claimed.
                mark(&*outbox, &rows[..rows.len() / 2]).await;
            }
        });
    }
    let mut all = Vec::new();
    while let Some(taken) = relays.join_next().await {
        all.extend(taken.expect("a relay ends well"));
    }
    assert_eq!(all.len(), 600, "every row was claimed once");
    assert_eq!(all.into_iter().collect::<HashSet<_>>().len(), 600);
}
