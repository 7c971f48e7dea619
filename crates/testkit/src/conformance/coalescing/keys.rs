//! What a key is, and what coming again means.

use std::collections::BTreeSet;
use std::time::Duration;

use aftercommit_domain::contract::{TaskEnvelope, TaskName, Tenant};
use aftercommit_domain::tasks::{Coalescing, Outcome, Published};
use aftercommit_domain::time::Clock;
use tokio::task::JoinSet;

use super::Scene;
use super::scene::{dropped_into, enqueued, number_of, replaced};
use crate::conformance::messages::OTHER_TOPIC;
use crate::conformance::support::{consume, next, ok, soon, task_id};
use crate::conformance::{Messages, Provider};

const SECOND: Duration = Duration::from_secs(1);

/// A key is one only within its organization, project, topic and task.
pub async fn the_same_key_of_another_tenant_task_or_topic_is_another<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let pending = || Coalescing::while_pending("a");
    let first = enqueued(scene.publish(1, pending()).await);
    let another = |tenant: Tenant| TaskEnvelope {
        coalescing: Some(pending()),
        ..Messages::of(provider.services(), tenant).task()
    };
    enqueued(scene.publish_task(another(Tenant::project(2_i64, 10_i64))).await);
    enqueued(scene.publish_task(another(Tenant::project(1_i64, 11_i64))).await);
    let other_task = TaskEnvelope {
        task: TaskName::constant("tear-up"),
        ..scene.task(2, pending())
    };
    enqueued(scene.publish_task(other_task).await);
    let other_topic = TaskEnvelope {
        topic: OTHER_TOPIC,
        ..scene.task(3, pending())
    };
    enqueued(scene.publish_task(other_topic).await);
    enqueued(scene.publish(4, Coalescing::while_pending("b")).await);
    assert_eq!(dropped_into(scene.publish(5, pending()).await), first);
    for _ in 0..5 {
        let delivery = next(&mut scene.deliveries, "a task").await;
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    scene.nothing_runs().await;
    let mut others = consume(provider, &OTHER_TOPIC, 1).await;
    let delivery = next(&mut others, "the task of the other topic").await;
    assert_eq!(number_of(&*delivery), 3);
}

/// A publish that was dropped says which task stood for it, and one that was replaced which took its place, also when both were
/// published together; a task of its own says nothing.
pub async fn a_publish_that_was_coalesced_is_traced_to_its_task<P: Provider>(provider: &P) {
    let scene = Scene::begin(provider).await;
    let lineage = provider.lineage();
    let debounce = || Coalescing::debounce("a", SECOND, None);
    let first = enqueued(scene.publish(1, debounce()).await);
    assert_eq!(ok("nothing", lineage.coalesced(&[first])).await, []);
    let (of_first, second) = replaced(scene.publish(2, debounce()).await);
    assert_eq!(of_first, first);
    let together = [3, 4].map(|number| scene.task(number, debounce()));
    let [third, fourth] = [together[0].id, together[1].id];
    scene.publish_all(together.to_vec()).await;
    let pending = || Coalescing::while_pending("b");
    let other = enqueued(scene.publish(5, pending()).await);
    let dropped = scene.task(6, pending());
    let dropped_id = dropped.id;
    scene.publish_task(dropped).await;
    let asked = [
        first,
        second,
        third,
        fourth,
        other,
        dropped_id,
        scene.task(7, pending()).id,
    ];
    let found = ok("what they became", lineage.coalesced(&asked)).await;
    let found: BTreeSet<_> = found.into_iter().collect();
    let expected = [(first, second), (second, third), (third, fourth), (dropped_id, other)];
    assert_eq!(found, expected.into());
}

/// A publish under an id that was published changes nothing, whether that one waits, was dropped, was replaced, runs or is
/// over.
pub async fn a_publish_that_comes_again_changes_nothing_whatever_became_of_it<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let debounce = || Coalescing::debounce("a", SECOND, None);
    let (first, second) = (scene.task(1, debounce()), scene.task(2, debounce()));
    enqueued(scene.publish_task(first.clone()).await);
    scene.at(400).await;
    replaced(scene.publish_task(second.clone()).await);
    scene.at(800).await;
    // Neither the payload nor the time changes.
    for again in [&first, &second] {
        let published = scene.publish_task(again.clone()).await;
        assert_eq!(published, Published::AlreadyThere(again.id));
    }
    scene.at(1399).await;
    scene.nothing_runs().await;
    scene.at(1400).await;
    let running = scene.take(2).await;
    for again in [&first, &second] {
        let published = scene.publish_task(again.clone()).await;
        assert_eq!(published, Published::AlreadyThere(again.id));
    }
    ok("it to be acked", running.ack(&Outcome::Completed)).await;
    for again in [&first, &second] {
        let published = scene.publish_task(again.clone()).await;
        assert_eq!(published, Published::AlreadyThere(again.id));
    }
    scene.at(60_000).await;
    scene.nothing_runs().await;

    let pending = || Coalescing::while_pending("b");
    enqueued(scene.publish(3, pending()).await);
    let dropped = scene.task(4, pending());
    dropped_into(scene.publish_task(dropped.clone()).await);
    scene.runs(3).await;
    assert_eq!(
        scene.publish_task(dropped.clone()).await,
        Published::AlreadyThere(dropped.id)
    );
    scene.nothing_runs().await;
}

/// Publishes are remembered until they are old, and no longer.
pub async fn what_was_coalesced_is_remembered_until_it_is_old<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let task = scene.task(1, Coalescing::while_pending("a"));
    enqueued(scene.publish_task(task.clone()).await);
    scene.runs(1).await;
    scene.deliveries.stop().await;
    let prune = async || {
        let before = provider.services().clock.now() - chrono::Duration::seconds(60);
        ok(
            "old claims to be forgotten",
            provider.inbox_maintenance().prune(before, 100),
        )
        .await
    };
    prune().await;
    assert_eq!(scene.publish_task(task.clone()).await, Published::AlreadyThere(task.id));
    provider.advance(SECOND * 61).await;
    assert_eq!(prune().await, 1);
    enqueued(scene.publish_task(task).await);
}

/// Publishing many at once comes to the same as publishing one after the other.
pub async fn the_answers_in_bulk_are_those_one_by_one<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let keys = ["a", "b", "a", "c", "a", "b"];
    let debounced = |scene: &Scene<'_, P>| -> Vec<TaskEnvelope> {
        let tasks = (1..).zip(keys);
        tasks
            .map(|(number, key)| scene.task(number, Coalescing::debounce(key, SECOND, None)))
            .collect()
    };
    let shape = |published: &Published| std::mem::discriminant(published);
    let bulk = scene.publish_all(debounced(&scene)).await;
    scene.at(1000).await;
    let mut ran = BTreeSet::new();
    for _ in 0..3 {
        let delivery = next(&mut scene.deliveries, "a task of the bulk").await;
        ran.insert(number_of(&*delivery));
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    assert_eq!(ran, BTreeSet::from([4, 5, 6]), "the last of each key");
    let mut single = Vec::new();
    for task in debounced(&scene) {
        single.push(scene.publish_task(task).await);
    }
    let shapes = |all: &[Published]| all.iter().map(shape).collect::<Vec<_>>();
    assert_eq!(shapes(&bulk), shapes(&single));
    scene.at(2000).await;
    for _ in 0..3 {
        let delivery = next(&mut scene.deliveries, "a task of those one by one").await;
        assert!(ran.contains(&number_of(&*delivery)));
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    scene.nothing_runs().await;
}

/// 64 publish one key at once: one task comes of it, which is the last of them; and so for a policy under which the first is.
pub async fn of_many_racing_publishers_one_task_comes_and_covers_them_all<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let mut publishing = JoinSet::new();
    for number in 1..=64 {
        let publisher = provider.queue_publisher();
        let tasks = vec![
            scene.task(number, Coalescing::debounce("last", SECOND, None)),
            scene.task(number, Coalescing::throttle("first", SECOND)),
        ];
        let ids = [tasks[0].id, tasks[1].id];
        publishing.spawn(async move { (ids, publisher.publish(tasks).await) });
    }
    let (mut first, mut all, mut gone) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    while let Some(published) = soon("all publishers", publishing.join_next()).await {
        let (ids, results) = published.expect("a publisher does not panic");
        all.insert(ids[0]);
        match results[0].as_ref().expect("it is published") {
            Published::Enqueued(_) => {}
            other => drop(gone.insert(replaced(*other).0)),
        }
        match results[1].as_ref().expect("it is published") {
            Published::Enqueued(id) => first.push(*id),
            other => drop(dropped_into(*other)),
        }
    }
    assert_eq!(first.len(), 1, "one of them is the first");
    assert_eq!(gone.len(), 63, "each but the last was replaced once");
    scene.at(1000).await;
    let mut came = BTreeSet::new();
    for _ in 0..2 {
        let delivery = next(&mut scene.deliveries, "a task").await;
        came.insert(task_id(&*delivery));
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    let last: Vec<_> = all.difference(&gone).copied().collect();
    assert_eq!(came, BTreeSet::from([last[0], first[0]]));
    scene.nothing_runs().await;
}

/// Tasks that are not coalesced go on as they are, beside one that is.
pub async fn a_publish_that_is_coalesced_spoils_no_other_of_its_call<P: Provider>(provider: &P) {
    let mut scene = Scene::begin(provider).await;
    let messages = Messages::new(provider.services());
    let (plain, ordered) = (messages.task(), messages.ordered_task("a"));
    let tasks = vec![
        plain.clone(),
        scene.task(7, Coalescing::while_pending("a")),
        ordered.clone(),
        scene.task(8, Coalescing::while_pending("a")),
        messages.too_large_task(),
    ];
    let results = soon("the answers", provider.queue_publisher().publish(tasks)).await;
    let published: Vec<_> = results
        .iter()
        .take(4)
        .map(|result| *result.as_ref().expect("published"))
        .collect();
    assert_eq!(enqueued(published[0]), plain.id);
    let first = enqueued(published[1]);
    assert_eq!(enqueued(published[2]), ordered.id);
    assert_eq!(dropped_into(published[3]), first);
    assert!(results[4].is_err());
    let mut came = BTreeSet::new();
    for _ in 0..3 {
        let delivery = next(&mut scene.deliveries, "a task").await;
        came.insert(task_id(&*delivery));
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
    }
    assert_eq!(came, BTreeSet::from([plain.id, first, ordered.id]));
    scene.nothing_runs().await;
}
