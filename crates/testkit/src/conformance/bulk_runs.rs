//! Bulk runs: kept, gone on with, and driven by one at a time.

use std::sync::Arc;

use aftercommit_domain::bulk::{
    BEGIN_AGAIN_WITHIN, BegunBulkRun, BulkRequest, BulkRun, BulkRuns, BulkRunsError, BulkState, Rate, TakenBulkRun,
};
use aftercommit_domain::contract::TopicName;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::DeadLetterFilter;
use aftercommit_domain::time::{Clock, seconds};

use crate::conformance::Provider;
use crate::conformance::messages::{OTHER_TOPIC, TOPIC};
use crate::conformance::support::{LEASE, PAST_LEASE, ok, soon};

/// The scenarios of bulk runs: `bulk_runs_conformance!(Provider)`.
#[macro_export]
macro_rules! bulk_runs_conformance {
    ($provider:ty) => {
        $crate::conformance_tests!(
            $provider,
            bulk_runs,
            [
                a_run_is_found_as_it_was_begun_and_listed_newest_first,
                who_orders_the_same_again_goes_on_with_the_run_that_is_not_over,
                a_run_is_asked_for_by_its_id_and_an_id_of_another_order_is_refused,
                of_several_who_order_the_same_at_once_one_begins_it,
                a_run_is_one_callers_until_it_is_put_back_or_the_lease_ends,
                a_run_that_is_over_is_not_taken,
                old_runs_are_forgotten_in_steps_and_new_ones_kept,
            ]
        );
    };
}

/// How many scenarios this suite has.
pub const SCENARIOS: usize = 7;

fn runs<P: Provider>(provider: &P) -> Arc<dyn BulkRuns> {
    provider.bulk_runs().expect("this provider keeps bulk runs")
}

fn replay_of<P: Provider>(provider: &P, topic: TopicName) -> BulkRun {
    let filter = DeadLetterFilter {
        topic: Some(topic),
        ..DeadLetterFilter::default()
    };
    let id = provider.services().envelopes.new_id();
    let request = BulkRequest::ReplayDeadLetters { filter };
    let now = provider.services().clock.now();
    BulkRun::new(id, request, "ada".into(), Rate::per_second(10), now)
}

async fn begin<P: Provider>(provider: &P, run: &BulkRun) -> BegunBulkRun {
    ok("a run to begin", runs(provider).begin(run.clone())).await
}

async fn take<P: Provider>(provider: &P, id: MessageId) -> Option<TakenBulkRun> {
    ok("a run to be taken", runs(provider).take(id, LEASE)).await
}

async fn put_back<P: Provider>(provider: &P, taken: TakenBulkRun) -> bool {
    ok("a run to be put back", runs(provider).put_back(taken)).await
}

/// Takes it and puts it back in this state.
async fn end<P: Provider>(provider: &P, id: MessageId, state: BulkState) {
    let mut taken = take(provider, id).await.expect("it is free");
    taken.run.state = state;
    assert!(put_back(provider, taken).await);
}

/// A run is found as it was begun, and with what its last step wrote; runs are listed newest first.
pub async fn a_run_is_found_as_it_was_begun_and_listed_newest_first<P: Provider>(provider: &P) {
    let store = runs(provider);
    let one = begin(provider, &replay_of(provider, TOPIC)).await;
    assert!(!one.goes_on);
    provider.advance(seconds(1)).await;
    let other = begin(provider, &replay_of(provider, OTHER_TOPIC)).await;
    let found = ok("a run to be found", store.find(one.run.id)).await;
    assert_eq!(found, Some(one.run.clone()));
    let listed = ok("runs to be listed", store.list(None)).await;
    assert_eq!(listed, [other.run.clone(), one.run.clone()]);
    let newest = ok("a run to be listed", store.list(Some(1))).await;
    assert_eq!(newest, std::slice::from_ref(&other.run));
    let mut taken = take(provider, one.run.id).await.expect("it is free");
    assert!(taken.now >= taken.run.begun_at);
    taken.run = BulkRun {
        done: 7,
        matched: Some(9),
        state: BulkState::Stopped,
        reason: Some("most failed".into()),
        problems: vec!["one".into()],
        ..taken.run
    };
    let written = taken.run.clone();
    assert!(put_back(provider, taken).await);
    let found = ok("a run to be found", store.find(one.run.id))
        .await
        .expect("it is there");
    assert!(found.stepped_at >= one.run.stepped_at);
    assert_eq!(
        BulkRun {
            stepped_at: written.stepped_at,
            ..found
        },
        written
    );
    let unknown = provider.services().envelopes.new_id();
    assert_eq!(ok("no run", store.find(unknown)).await, None);
}

/// Who orders the same again goes on with the run that is not over; when it is over, or nobody stepped it for long, or
/// something else is ordered, another begins.
pub async fn who_orders_the_same_again_goes_on_with_the_run_that_is_not_over<P: Provider>(provider: &P) {
    let first = begin(provider, &replay_of(provider, TOPIC)).await.run;
    let again = begin(provider, &replay_of(provider, TOPIC)).await;
    assert_eq!((again.run.id, again.goes_on), (first.id, true));
    let other = begin(provider, &replay_of(provider, OTHER_TOPIC)).await;
    assert!(other.run.id != first.id && !other.goes_on);
    end(provider, first.id, BulkState::Done).await;
    let second = begin(provider, &replay_of(provider, TOPIC)).await;
    assert!(second.run.id != first.id && !second.goes_on, "the first is over");
    provider.advance(BEGIN_AGAIN_WITHIN / 2).await;
    end(provider, second.run.id, BulkState::Going).await;
    provider.advance(BEGIN_AGAIN_WITHIN.mul_f64(0.9)).await;
    let again = begin(provider, &replay_of(provider, TOPIC)).await;
    assert_eq!((again.run.id, again.goes_on), (second.run.id, true));
    provider.advance(BEGIN_AGAIN_WITHIN + seconds(60)).await;
    let third = begin(provider, &replay_of(provider, TOPIC)).await;
    assert!(
        third.run.id != second.run.id && !third.goes_on,
        "nobody stepped it for long"
    );
}

/// A run is gone on with by its id, over or not; the id of another order is refused.
pub async fn a_run_is_asked_for_by_its_id_and_an_id_of_another_order_is_refused<P: Provider>(provider: &P) {
    let run = replay_of(provider, TOPIC);
    begin(provider, &run).await;
    end(provider, run.id, BulkState::Done).await;
    let again = begin(provider, &run).await;
    assert_eq!(
        (again.run.id, again.run.state, again.goes_on),
        (run.id, BulkState::Done, true)
    );
    let other = BulkRun {
        id: run.id,
        ..replay_of(provider, OTHER_TOPIC)
    };
    let refused = soon("another order to be refused", runs(provider).begin(other)).await;
    assert!(
        matches!(refused, Err(BulkRunsError::OtherRequest { id }) if id == run.id),
        "{refused:?}"
    );
}

/// Of several who order the same at once, one begins it and the others go on with it.
pub async fn of_several_who_order_the_same_at_once_one_begins_it<P: Provider>(provider: &P) {
    // Again and again: the first time, connections are opened one after the other.
    for _ in 0..5 {
        let orders: Vec<BulkRun> = (0..8).map(|_| replay_of(provider, TOPIC)).collect();
        let begun = futures::future::join_all(orders.iter().map(|run| begin(provider, run))).await;
        let new: Vec<&BegunBulkRun> = begun.iter().filter(|begun| !begun.goes_on).collect();
        assert_eq!(new.len(), 1, "one begins it");
        assert!(begun.iter().all(|begun| begun.run.id == new[0].run.id));
        end(provider, new[0].run.id, BulkState::Done).await;
    }
}

/// A taken run is one caller's until it is put back or the lease ends; a token that lost its lease changes nothing.
pub async fn a_run_is_one_callers_until_it_is_put_back_or_the_lease_ends<P: Provider>(provider: &P) {
    let id = begin(provider, &replay_of(provider, TOPIC)).await.run.id;
    let taken = take(provider, id).await.expect("it is free");
    assert!(take(provider, id).await.is_none(), "somebody has it");
    assert!(put_back(provider, taken.clone()).await);
    assert!(!put_back(provider, taken).await, "it was put back");
    let mut lost = take(provider, id).await.expect("it is free again");
    provider.advance(PAST_LEASE).await;
    let next = take(provider, id).await.expect("the lease ended");
    lost.run.done = 99;
    assert!(!put_back(provider, lost).await, "the lease was lost");
    assert!(put_back(provider, next).await);
    let found = ok("the run to be found", runs(provider).find(id)).await;
    assert_eq!(found.map(|run| run.done), Some(0), "who lost the lease wrote nothing");
    let unknown = provider.services().envelopes.new_id();
    assert!(take(provider, unknown).await.is_none());
}

/// A run that is over is taken by nobody.
pub async fn a_run_that_is_over_is_not_taken<P: Provider>(provider: &P) {
    for (topic, state) in [(TOPIC, BulkState::Done), (OTHER_TOPIC, BulkState::Stopped)] {
        let id = begin(provider, &replay_of(provider, topic)).await.run.id;
        end(provider, id, state).await;
        assert!(take(provider, id).await.is_none(), "{state:?}");
    }
}

/// Runs that nobody stepped since a time are forgotten, at most so many at once; later ones are kept.
pub async fn old_runs_are_forgotten_in_steps_and_new_ones_kept<P: Provider>(provider: &P) {
    for _ in 0..3 {
        let id = begin(provider, &replay_of(provider, TOPIC)).await.run.id;
        end(provider, id, BulkState::Done).await;
    }
    provider.advance(seconds(60)).await;
    let new = begin(provider, &replay_of(provider, TOPIC)).await.run;
    let before = provider.services().clock.now() - chrono::Duration::seconds(30);
    for expected in [2, 1, 0] {
        let forgotten = ok("old runs to be forgotten", runs(provider).prune(before, 2)).await;
        assert_eq!(forgotten, expected);
    }
    let left = ok("runs to be listed", runs(provider).list(None)).await;
    assert_eq!(left, [new]);
}
