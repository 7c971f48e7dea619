//! How a relay waits.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::time::{hours, seconds};
use tokio::task::JoinSet;

use crate::conformance::Provider;
use crate::conformance::outbox::rows::{commit_each, mark, release, retry};
use crate::conformance::support::{QUIET, claim, ids_of, soon};

/// A commit wakes a relay that waits.
pub async fn a_commit_wakes_a_waiting_relay<P: Provider>(provider: &P) {
    for _ in 0..20 {
        let outbox = provider.outbox();
        let mut relay = JoinSet::new();
        relay.spawn({
            let outbox = Arc::clone(&outbox);
            // It may wake for nothing, so it claims until it has something.
            async move {
                loop {
                    let rows = claim(&*outbox, 10).await;
                    if !rows.is_empty() {
                        return rows;
                    }
                    outbox.wait(hours(1)).await;
                }
            }
        });
        tokio::task::yield_now().await;
        let ids = commit_each(provider, &["a"]).await;
        let rows = soon("the relay to wake", relay.join_next()).await;
        let rows = rows.expect("there is one relay").expect("the relay ends well");
        assert_eq!(ids_of(&rows), ids);
        mark(&*outbox, &rows).await;
    }
}

/// A commit between a claim that found nothing and the wait after it is not missed.
pub async fn a_commit_between_a_claim_and_its_wait_is_not_missed<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    assert!(claim(&*outbox, 10).await.is_empty());
    commit_each(provider, &["a"]).await;
    soon("the wait to end", outbox.wait(hours(1))).await;
    assert_eq!(claim(&*outbox, 10).await.len(), 1);
}

/// A wait never lasts longer than its idle time.
pub async fn a_wait_ends_when_its_idle_time_is_over<P: Provider>(provider: &P) {
    soon("the wait to end", provider.outbox().wait(Duration::from_millis(20))).await;
}

/// A row whose retry is due, but which waits behind another of its aggregate, does not keep a relay awake.
pub async fn a_row_held_behind_another_does_not_keep_a_relay_awake<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a", "a"]).await;
    let rows = claim(&*outbox, 10).await;
    release(&*outbox, &rows[0], retry(hours(1), false)).await;
    release(&*outbox, &rows[1], retry(seconds(1), false)).await;
    provider.advance(seconds(2)).await;
    assert!(claim(&*outbox, 10).await.is_empty());
    let mut wakes = 0;
    let waits = async {
        while wakes < 5 {
            outbox.wait(hours(1)).await;
            // As a relay does, so that one wake-up is one.
            assert!(claim(&*outbox, 10).await.is_empty());
            wakes += 1;
        }
    };
    assert!(
        tokio::time::timeout(QUIET, waits).await.is_err(),
        "a relay that is woken for nothing again and again never rests"
    );
}
