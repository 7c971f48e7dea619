//! Policies that go by what became of the task of the key.

use std::time::Duration;

use aftercommit_domain::tasks::{Coalescing, Outcome, WhenActive};

use super::Scene;
use super::scene::{dropped_into, enqueued, replaced};
use crate::conformance::Provider;
use crate::conformance::support::{failure, ok};

/// The first wins; what comes within its time is dropped, whether the first is done or not; what comes after it is not.
pub async fn a_once_is_once_until_its_time_is_over_done_or_not<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let once = || Coalescing::once("a", Duration::from_secs(5));
    let first = enqueued(scene.publish(1, once()).await);
    assert_eq!(dropped_into(scene.publish(2, once()).await), first);
    scene.runs(1).await;
    scene.at(4999).await;
    assert_eq!(dropped_into(scene.publish(3, once()).await), first, "it is done by now");
    scene.nothing_runs().await;
    scene.at(5000).await;
    enqueued(scene.publish(4, once()).await);
    scene.runs(4).await;
    scene.nothing_runs().await;
}

/// Dropped while one waits; what is published while that one runs is the next.
pub async fn while_one_is_pending_another_is_dropped_and_while_it_runs_it_is_not<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let pending = || Coalescing::while_pending("a");
    let first = enqueued(scene.publish(1, pending()).await);
    assert_eq!(dropped_into(scene.publish(2, pending()).await), first);
    let running = scene.take(1).await;
    let next = enqueued(scene.publish(3, pending()).await);
    assert_eq!(dropped_into(scene.publish(4, pending()).await), next);
    ok("it to be acked", running.ack(&Outcome::Completed)).await;
    scene.runs(3).await;
    scene.nothing_runs().await;
}

/// One that waits for a retry is pending.
pub async fn while_one_waits_for_a_retry_another_is_dropped<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let pending = || Coalescing::while_pending("a");
    let first = enqueued(scene.publish(1, pending()).await);
    let running = scene.take(1).await;
    let wait = Duration::from_secs(5);
    ok("it to be retried", running.retry(wait, true, Some(&failure()))).await;
    assert_eq!(dropped_into(scene.publish(2, pending()).await), first);
    scene.at(6000).await;
    scene.runs(1).await;
    scene.nothing_runs().await;
}

/// Once it is over, well or not, the next publish is a task again.
pub async fn after_success_and_after_the_final_failure_it_runs_again<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let policies = [
        Coalescing::while_pending("a"),
        Coalescing::while_active("b", WhenActive::Skip),
        Coalescing::while_active("c", WhenActive::RunAgainOnce),
    ];
    for coalescing in policies {
        enqueued(scene.publish(1, coalescing.clone()).await);
        scene.runs(1).await;
        enqueued(scene.publish(2, coalescing.clone()).await);
        let failing = scene.take(2).await;
        ok("it to be given up", failing.dead_letter(&failure())).await;
        enqueued(scene.publish(3, coalescing).await);
        scene.runs(3).await;
        scene.nothing_runs().await;
    }
}

/// Dropped while one waits or runs, also while it waits for a retry.
pub async fn while_one_is_active_another_is_dropped<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let active = || Coalescing::while_active("a", WhenActive::Skip);
    let first = enqueued(scene.publish(1, active()).await);
    assert_eq!(dropped_into(scene.publish(2, active()).await), first);
    let running = scene.take(1).await;
    assert_eq!(dropped_into(scene.publish(3, active()).await), first);
    let wait = Duration::from_secs(5);
    ok("it to be retried", running.retry(wait, true, Some(&failure()))).await;
    assert_eq!(dropped_into(scene.publish(4, active()).await), first);
    scene.at(6000).await;
    scene.runs(1).await;
    scene.nothing_runs().await;
}

/// However much is published while one runs, it is one more run, with the last payload, and not before the first is over.
pub async fn while_one_runs_all_others_are_one_more_run_after_it<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let active = || Coalescing::while_active("a", WhenActive::RunAgainOnce);
    enqueued(scene.publish(1, active()).await);
    let running = scene.take(1).await;
    let second = enqueued(scene.publish(2, active()).await);
    let (gone, third) = replaced(scene.publish(3, active()).await);
    assert_eq!(gone, second);
    scene.nothing_runs().await;
    let wait = Duration::from_secs(5);
    ok("it to be retried", running.retry(wait, true, Some(&failure()))).await;
    let (gone, _) = replaced(scene.publish(4, active()).await);
    assert_eq!(gone, third);
    scene.nothing_runs().await;
    scene.at(6000).await;
    let again = scene.take(1).await;
    scene.nothing_runs().await;
    ok("it to be acked", again.ack(&Outcome::Completed)).await;
    scene.runs(4).await;
    scene.nothing_runs().await;
}
