//! Tasks with order keys under random interleavings, compared with a model that is too simple to be wrong.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Delivery, Outcome};
use proptest::prelude::*;

use crate::rig::{Rig, consume, id_of, next, publish, runtime};

#[derive(Debug, Clone)]
enum Step {
    /// Publish tasks of these keys in one call.
    Publish(Vec<u8>),
    /// Take a task, if one may come.
    Take,
    /// End the task in this hand.
    Ack(usize),
    Bury(usize),
    GiveBack(usize),
    /// Again later.
    Retry(usize),
    /// Let time pass, so that what waits is due.
    Wait,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(0_u8..3, 1..5).prop_map(Step::Publish),
        6 => Just(Step::Take),
        3 => (0_usize..4).prop_map(Step::Ack),
        1 => (0_usize..4).prop_map(Step::Bury),
        1 => (0_usize..4).prop_map(Step::GiveBack),
        2 => (0_usize..4).prop_map(Step::Retry),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

/// Each key is a line of tasks. Only the first may be in a hand, and only when it does not wait for its time.
#[derive(Default)]
struct Model {
    lines: BTreeMap<u8, VecDeque<MessageId>>,
    waiting: Vec<MessageId>,
}

impl Model {
    fn available(&self, hands: &[(u8, Box<dyn Delivery>)]) -> Vec<(u8, MessageId)> {
        let firsts = self.lines.iter().filter_map(|(key, line)| Some((*key, *line.front()?)));
        firsts
            .filter(|(key, id)| !self.waiting.contains(id) && hands.iter().all(|(held, _)| held != key))
            .collect()
    }

    fn end(&mut self, key: u8, id: MessageId) {
        let line = self.lines.get_mut(&key).unwrap();
        assert_eq!(line.pop_front(), Some(id), "only the first of a line is ever run");
    }
}

async fn run(steps: Vec<Step>) {
    let rig = Rig::new();
    let database = rig.open().await;
    let mut deliveries = consume(&database, 4).await;
    let mut model = Model::default();
    let mut hands: Vec<(u8, Box<dyn Delivery>)> = Vec::new();
    let failure = Failure::new("test.failed", ErrorClass::Permanent, "no");
    // Afterwards everything is run to its end.
    let rest = std::iter::repeat_n([Step::Ack(0), Step::Wait, Step::Take], 400).flatten();
    for step in steps.into_iter().chain(rest) {
        match step {
            Step::Publish(keys) => {
                let names = ["a", "b", "c"];
                let task = |key: &u8| rig.messages().ordered_task(names[usize::from(*key)]);
                let ids = publish(&database, keys.iter().map(task).collect()).await;
                for (key, id) in keys.into_iter().zip(ids) {
                    model.lines.entry(key).or_default().push_back(id);
                }
            }
            Step::Take => {
                let available = model.available(&hands);
                if hands.len() < 4 && !available.is_empty() {
                    let delivery = next(&mut deliveries).await;
                    let id = id_of(&*delivery);
                    let found = available.iter().find(|(_, first)| *first == id);
                    assert!(found.is_some(), "what comes is the first of its line");
                    let (key, _) = found.unwrap();
                    hands.push((*key, delivery));
                }
            }
            Step::Ack(hand) if hand < hands.len() => {
                let (key, delivery) = hands.remove(hand);
                model.end(key, id_of(&*delivery));
                delivery.ack(&Outcome::Completed).await.unwrap();
            }
            Step::Bury(hand) if hand < hands.len() => {
                let (key, delivery) = hands.remove(hand);
                model.end(key, id_of(&*delivery));
                delivery.dead_letter(&failure).await.unwrap();
            }
            Step::GiveBack(hand) if hand < hands.len() => hands.remove(hand).1.give_back().await.unwrap(),
            Step::Retry(hand) if hand < hands.len() => {
                let (_, delivery) = hands.remove(hand);
                model.waiting.push(id_of(&*delivery));
                delivery
                    .retry(Duration::from_mins(1), true, Some(&failure))
                    .await
                    .unwrap();
            }
            Step::Wait => {
                rig.services.clock.advance(Duration::from_secs(61));
                model.waiting.clear();
            }
            Step::Ack(_) | Step::Bury(_) | Step::GiveBack(_) | Step::Retry(_) => {}
        }
        if hands.is_empty() && model.lines.values().all(VecDeque::is_empty) && model.waiting.is_empty() {
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM aftercommit_tasks")
                .fetch_one(database.reader())
                .await
                .unwrap();
            assert_eq!(left, 0);
        }
    }
    assert!(model.lines.values().all(VecDeque::is_empty), "everything was run");
    database.close().await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_the_first_unfinished_task_of_a_key_is_ever_in_a_hand_and_all_are_run(steps in steps()) {
        runtime().block_on(run(steps));
    }
}
