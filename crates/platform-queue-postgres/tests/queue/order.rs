//! Order keys under many hands.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::OrderKey;
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Outcome, QueuePublisher as _};
use aftercommit_testkit::conformance::Messages;
use aftercommit_testkit::conformance::support::ok;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::rig::Rig;
use crate::steps::envelope_of;

const PUBLISHERS: usize = 8;
const KEYS: usize = 20;
const ROUNDS: usize = 12;
const PER_CALL: usize = 5;

/// What was seen of the tasks of one key.
#[derive(Default)]
struct Seen {
    running: HashSet<OrderKey>,
    /// Per key and publisher, the ids in the order they ended.
    ended: HashMap<(OrderKey, usize), Vec<MessageId>>,
    count: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_publishers_and_eight_consumers_of_two_processes_keep_the_order_of_twenty_keys() {
    let rig = Rig::start().await;
    let other = rig.another(2).await;
    let (seen, published): (Arc<Mutex<Seen>>, Arc<Mutex<HashMap<MessageId, usize>>>) = Default::default();
    let mut expected: HashMap<(OrderKey, usize), Vec<MessageId>> = HashMap::new();
    let all = PUBLISHERS * ROUNDS * PER_CALL;
    let mut work = JoinSet::new();
    for publisher in 0..PUBLISHERS {
        let queue = if publisher % 2 == 0 {
            &rig.process.queue
        } else {
            &other.queue
        }
        .clone();
        let mut calls = Vec::new();
        for round in 0..ROUNDS {
            let mut call = Vec::new();
            for place in 0..PER_CALL {
                // Every publisher has each key many times, in an order of its own.
                let key = format!("key {}", (publisher * 7 + round * 3 + place * place) % KEYS);
                let task = Messages::new(&rig.services).ordered_task(&key);
                published.lock().unwrap().insert(task.id, publisher);
                let key = task.order_key.clone().unwrap();
                expected.entry((key, publisher)).or_default().push(task.id);
                call.push(task);
            }
            calls.push(call);
        }
        work.spawn(async move {
            for call in calls {
                for result in queue.publish(call).await {
                    result.unwrap();
                }
            }
        });
    }
    let all_done = CancellationToken::new();
    for consumer in 0..8_usize {
        let process = if consumer % 2 == 0 { &rig.process } else { &other };
        let mut deliveries = process.consume(4).await;
        let (seen, published, all_done) = (Arc::clone(&seen), Arc::clone(&published), all_done.clone());
        work.spawn(async move {
            let mut turn = consumer;
            loop {
                let delivery = tokio::select! {
                    delivery = deliveries.next() => delivery.unwrap().unwrap(),
                    () = all_done.cancelled() => return,
                };
                let task = envelope_of(&*delivery);
                let key = task.order_key.unwrap();
                assert!(
                    seen.lock().unwrap().running.insert(key.clone()),
                    "two tasks of {key} run at once"
                );
                tokio::task::yield_now().await;
                turn += 1;
                let ends = turn % 4 != 0;
                let is_last = {
                    let mut seen = seen.lock().unwrap();
                    seen.running.remove(&key);
                    if ends {
                        let publisher = published.lock().unwrap()[&task.id];
                        seen.ended.entry((key, publisher)).or_default().push(task.id);
                        seen.count += 1;
                    }
                    seen.count == all
                };
                match turn % 8 {
                    0 => ok("a retry", delivery.retry(Duration::ZERO, true, None)).await,
                    4 => ok("a give-back", delivery.give_back()).await,
                    _ => ok("an ack", delivery.ack(&Outcome::Completed)).await,
                }
                if is_last {
                    all_done.cancel();
                }
            }
        });
    }
    let ended = tokio::time::timeout(Duration::from_secs(40), work.join_all()).await;
    assert!(ended.is_ok(), "{} of {all} ended", seen.lock().unwrap().count);
    // Of each publisher, because its calls followed each other.
    assert_eq!(seen.lock().unwrap().ended, expected);
    assert_eq!(rig.count("SELECT count(*) FROM aftercommit.tasks").await, 0);
    other.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_head_that_is_there_already_under_another_key_does_not_hold_up_the_others_of_its_call() {
    let rig = Rig::start().await;
    let head = rig.messages().task();
    rig.process.publish(vec![head.clone()]).await;
    let mut deliveries = rig.process.consume(10).await;
    let held = aftercommit_testkit::conformance::support::next(&mut deliveries, "the head").await;
    let mut same = head;
    let follower = rig.messages().ordered_task("a");
    same.order_key.clone_from(&follower.order_key);
    let results = rig.process.queue.publish(vec![same, follower.clone()]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let next = aftercommit_testkit::conformance::support::next(&mut deliveries, "the follower").await;
    assert_eq!(crate::steps::id_of(&*next), follower.id);
    drop(held);
    rig.stop().await;
}
