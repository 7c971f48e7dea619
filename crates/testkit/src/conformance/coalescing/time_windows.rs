//! Windows that time closes.

use std::time::Duration;

use aftercommit_domain::contract::TaskEnvelope;
use aftercommit_domain::tasks::{Coalescing, Outcome};
use aftercommit_domain::time::{Clock, after};

use super::Scene;
use super::scene::{dropped_into, enqueued, replaced};
use crate::conformance::Provider;
use crate::conformance::support::ok;

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Debounce 1500: published at 0 and 700, it runs at 2200 with the second payload.
pub async fn a_debounce_runs_once_it_was_quiet_with_the_last_payload<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let debounce = || Coalescing::debounce("a", millis(1500), None);
    let first = enqueued(scene.publish(1, debounce()).await);
    scene.at(700).await;
    let (gone, second) = replaced(scene.publish(2, debounce()).await);
    assert_eq!(gone, first);
    scene.at(2199).await;
    scene.nothing_runs().await;
    scene.at(2200).await;
    let delivery = scene.take(2).await;
    assert_eq!(crate::conformance::support::task_id(&*delivery), second);
    ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    scene.at(60_000).await;
    scene.nothing_runs().await;
}

/// Debounce 1000: published at 0 and 3000, it runs at 1000 and 4000.
pub async fn a_debounce_runs_again_for_what_came_after_it<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let debounce = || Coalescing::debounce("a", millis(1000), None);
    enqueued(scene.publish(1, debounce()).await);
    scene.at(1000).await;
    scene.runs(1).await;
    scene.at(3000).await;
    enqueued(scene.publish(2, debounce()).await);
    scene.at(3999).await;
    scene.nothing_runs().await;
    scene.at(4000).await;
    scene.runs(2).await;
}

/// However often it is published, it runs when its longest wait since the first publish is over.
pub async fn a_debounce_waits_no_longer_than_its_longest_wait<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let debounce = || Coalescing::debounce("a", millis(1000), millis(2500));
    enqueued(scene.publish(1, debounce()).await);
    for (at, number) in [(800, 2), (1600, 3), (2400, 4)] {
        scene.at(at).await;
        replaced(scene.publish(number, debounce()).await);
    }
    scene.at(2499).await;
    scene.nothing_runs().await;
    scene.at(2500).await;
    scene.runs(4).await;
}

/// What is published while a debounced task runs is covered by a run that starts after it.
pub async fn what_is_published_while_a_debounced_task_runs_is_run_after_it<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let debounce = || Coalescing::debounce("a", millis(1000), None);
    enqueued(scene.publish(1, debounce()).await);
    scene.at(1000).await;
    let running = scene.take(1).await;
    enqueued(scene.publish(2, debounce()).await);
    ok("it to be acked", running.ack(&Outcome::Completed)).await;
    scene.at(1999).await;
    scene.nothing_runs().await;
    scene.at(2000).await;
    scene.runs(2).await;
}

/// Throttle 1000: published at 0, 500 and 3000, it runs at 1000 with the first payload and at 4000 with the third.
pub async fn a_throttle_runs_at_the_time_and_with_the_payload_of_the_first<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let throttle = || Coalescing::throttle("a", millis(1000));
    let first = enqueued(scene.publish(1, throttle()).await);
    scene.at(500).await;
    assert_eq!(dropped_into(scene.publish(2, throttle()).await), first);
    scene.at(999).await;
    scene.nothing_runs().await;
    scene.at(1000).await;
    scene.runs(1).await;
    scene.at(3000).await;
    enqueued(scene.publish(3, throttle()).await);
    scene.at(3999).await;
    scene.nothing_runs().await;
    scene.at(4000).await;
    scene.runs(3).await;
}

/// Latest-throttle 1500: published at 0 and 700, it runs at 1500 with the second payload.
pub async fn a_latest_throttle_runs_at_the_time_of_the_first_with_the_last_payload<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let throttle = || Coalescing::latest_throttle("a", millis(1500));
    enqueued(scene.publish(1, throttle()).await);
    scene.at(700).await;
    replaced(scene.publish(2, throttle()).await);
    scene.at(1499).await;
    scene.nothing_runs().await;
    scene.at(1500).await;
    scene.runs(2).await;
    scene.at(60_000).await;
    scene.nothing_runs().await;
}

/// What is published after the time of a window opens the next one, also when no worker has taken its task yet.
pub async fn a_window_that_is_due_is_over_however_late_the_workers_are<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let policies = [
        |key: &str| Coalescing::debounce(key, millis(1000), None),
        |key: &str| Coalescing::throttle(key, millis(1000)),
        |key: &str| Coalescing::latest_throttle(key, millis(1000)),
    ];
    // Nobody takes anything before 3000.
    for (number, policy) in (0..).zip(policies) {
        enqueued(scene.publish(10 + number, policy(&number.to_string())).await);
    }
    provider.advance(millis(3000)).await;
    for (number, policy) in (0..).zip(policies) {
        enqueued(scene.publish(20 + number, policy(&number.to_string())).await);
    }
    for number in [10, 11, 12] {
        scene.runs(number).await;
    }
    scene.nothing_runs().await;
    provider.advance(millis(1000)).await;
    for number in [20, 21, 22] {
        scene.runs(number).await;
    }
}

/// One waiting task per key, with the payload and the time of the newest publish.
pub async fn a_replace_takes_the_newest_payload_and_time<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let start = provider.services().clock.now();
    let at = |scene: &Scene<'_, P>, number, time| TaskEnvelope {
        not_before: Some(after(start, millis(time))),
        ..scene.task(number, Coalescing::replace("a"))
    };
    enqueued(scene.publish_task(at(&scene, 1, 5000)).await);
    replaced(scene.publish_task(at(&scene, 2, 9000)).await);
    scene.at(5000).await;
    scene.nothing_runs().await;
    // Sooner again.
    replaced(scene.publish_task(at(&scene, 3, 6000)).await);
    scene.at(6000).await;
    scene.runs(3).await;
    enqueued(scene.publish_task(at(&scene, 4, 9000)).await);
    scene.at(9000).await;
    scene.runs(4).await;
    scene.nothing_runs().await;
}
