//! Tasks that are coalesced, and have an order beside.

use std::time::Duration;

use aftercommit_domain::contract::{OrderKey, TaskEnvelope};
use aftercommit_domain::tasks::{Coalescing, Outcome, Published, QueueCapabilities};

use super::Scene;
use super::scene::{dropped_into, enqueued, replaced};
use crate::conformance::Provider;
use crate::conformance::support::ok;

const SECOND: Duration = Duration::from_secs(1);

/// A task with this number under this order key, coalesced or not.
fn ordered<P: Provider>(
    scene: &Scene<'_, P>,
    number: u32,
    key: &'static str,
    coalescing: Option<Coalescing>,
) -> TaskEnvelope {
    TaskEnvelope {
        order_key: Some(OrderKey::of(key)),
        coalescing,
        ..scene.task(number, Coalescing::replace("nothing"))
    }
}

/// A broker keeps what is coalesced apart from what else is ordered in it.
fn capabilities<P: Provider>(provider: &P) -> QueueCapabilities {
    provider.queue_publisher().capabilities()
}

/// Whatever takes the place of an ordered task is behind what was published of its order key meanwhile: that does not wait for
/// a window that is opened again and again.
pub async fn what_replaces_an_ordered_task_is_behind_what_was_published_of_its_order_meanwhile<P: Provider>(
    provider: &P,
) {
    let mut scene = Scene::begin(provider).await;
    if capabilities(provider).keeps_order_keys_on_one_consumer {
        return;
    }
    let debounce = || Some(Coalescing::debounce("a", SECOND, None));
    enqueued(scene.publish_task(ordered(&scene, 1, "x", debounce())).await);
    enqueued(scene.publish_task(ordered(&scene, 2, "x", None)).await);
    scene.nothing_runs().await;
    replaced(scene.publish_task(ordered(&scene, 3, "x", debounce())).await);
    scene.runs(2).await;
    scene.nothing_runs().await;
    scene.at(1000).await;
    scene.runs(3).await;
    scene.nothing_runs().await;
}

/// Whatever takes the place of a task waits in its own order, not in the other's.
pub async fn what_replaces_a_task_of_another_order_waits_in_its_own<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    if capabilities(provider).keeps_order_keys_on_one_consumer {
        return;
    }
    let debounce = || Some(Coalescing::debounce("a", SECOND, None));
    enqueued(scene.publish_task(ordered(&scene, 1, "y", None)).await);
    let of_its_order = scene.take(1).await;
    enqueued(scene.publish_task(ordered(&scene, 2, "x", debounce())).await);
    replaced(scene.publish_task(ordered(&scene, 3, "y", debounce())).await);
    // The order it left is free.
    enqueued(scene.publish_task(ordered(&scene, 4, "x", None)).await);
    scene.runs(4).await;
    scene.at(1000).await;
    scene.nothing_runs().await;
    ok("it to be acked", of_its_order.ack(&Outcome::Completed)).await;
    scene.runs(3).await;
    // And out of any order.
    enqueued(scene.publish_task(ordered(&scene, 5, "y", debounce())).await);
    replaced(scene.publish(6, Coalescing::debounce("a", SECOND, None)).await);
    enqueued(scene.publish_task(ordered(&scene, 7, "y", None)).await);
    scene.runs(7).await;
    scene.at(2000).await;
    scene.runs(6).await;
    scene.nothing_runs().await;
}

/// Of one call too, tasks of an order key run in the order of the call, coalesced or not.
pub async fn what_is_ordered_stays_in_order_within_a_call_coalesced_or_not<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    if capabilities(provider).keeps_order_keys_on_one_consumer {
        return;
    }
    let pending = |key: &str| Some(Coalescing::while_pending(key));
    let tasks = vec![
        ordered(&scene, 1, "x", pending("a")),
        ordered(&scene, 2, "x", None),
        ordered(&scene, 3, "x", pending("b")),
        ordered(&scene, 4, "x", pending("a")),
        ordered(&scene, 5, "x", None),
    ];
    let published = scene.publish_all(tasks).await;
    let first = enqueued(published[0]);
    assert_eq!(dropped_into(published[3]), first);
    for number in [1, 2, 3, 5] {
        scene.runs(number).await;
    }
    scene.nothing_runs().await;
}

/// A publish under the id of a task that is unfinished and was published without a policy, as before a deployment, changes
/// nothing: nothing joins that task, and nothing takes its place.
pub async fn a_publish_under_the_id_of_an_unfinished_task_of_its_own_changes_nothing<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    if !capabilities(provider).deduplicates {
        return;
    }
    let debounce = || Coalescing::debounce("a", SECOND, None);
    let coalesced = scene.task(1, debounce());
    let plain = TaskEnvelope {
        coalescing: None,
        ..coalesced.clone()
    };
    enqueued(scene.publish_task(plain).await);
    let running = scene.take(1).await;
    assert_eq!(
        scene.publish_task(coalesced.clone()).await,
        Published::AlreadyThere(coalesced.id)
    );
    let next = enqueued(scene.publish(2, debounce()).await);
    assert_eq!(
        scene.publish_task(coalesced.clone()).await,
        Published::AlreadyThere(coalesced.id)
    );
    ok("it to be acked", running.ack(&Outcome::Completed)).await;
    let (gone, _) = replaced(scene.publish(3, debounce()).await);
    assert_eq!(gone, next);
    scene.at(1000).await;
    scene.runs(3).await;
    scene.nothing_runs().await;
}
