//! Random publishers, workers and clocks, compared with the model at each step.

use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, TaskEnvelope};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::{
    Coalesced, Coalescing, CoalescingPolicy, Deliveries, Delivery, Outcome, Published, WhenActive,
};
use aftercommit_domain::time::{Clock, after};

use super::model::{Answer, Model};
use crate::conformance::messages::TOPIC;
use crate::conformance::support::{
    LEASE, PAST_LEASE, consume_with_lease, failure, next, nothing_comes, ok, soon, task_id,
};
use crate::conformance::{Messages, Provider};
use crate::fakes::SeededRandomness;

/// Steps of one walk.
const STEPS: usize = 60;

const POLICIES: [CoalescingPolicy; 9] = [
    CoalescingPolicy::Replace,
    CoalescingPolicy::Once {
        ttl: Duration::from_secs(4),
    },
    CoalescingPolicy::WhilePending,
    CoalescingPolicy::WhileActive { then: WhenActive::Skip },
    CoalescingPolicy::WhileActive {
        then: WhenActive::RunAgainOnce,
    },
    CoalescingPolicy::Debounce {
        quiet: Duration::from_secs(2),
        max_wait: None,
    },
    CoalescingPolicy::Debounce {
        quiet: Duration::from_secs(2),
        max_wait: Some(Duration::from_secs(5)),
    },
    CoalescingPolicy::Throttle {
        every: Duration::from_secs(3),
    },
    CoalescingPolicy::LatestThrottle {
        every: Duration::from_secs(3),
    },
];

/// Whatever is published, taken, done, retried, given back and lost, and whenever: each answer and each task is what the model
/// says.
pub async fn whatever_happens_to_a_key_comes_to_what_the_model_says<P: Provider>(provider: &P) {
    let seeds = P::COALESCING_SEEDS;
    for seed in 0..seeds {
        Walk::new(provider, seed).await.run().await;
    }
    println!("{seeds} seeds of {STEPS} steps over {} policies", POLICIES.len());
}

/// One key, and two who work.
struct Walk<'p, P> {
    provider: &'p P,
    seed: u64,
    random: SeededRandomness,
    policy: CoalescingPolicy,
    model: Model,
    published: Vec<TaskEnvelope>,
    workers: [Worker; 2],
    told: Vec<String>,
}

struct Worker {
    deliveries: Box<dyn Deliveries>,
    running: Option<Box<dyn Delivery>>,
}

impl<'p, P: Provider> Walk<'p, P> {
    async fn new(provider: &'p P, seed: u64) -> Self {
        let number = usize::try_from(seed).unwrap_or_default();
        let policy = POLICIES[number % POLICIES.len()];
        Self {
            provider,
            seed,
            random: SeededRandomness::new(seed),
            policy,
            model: Model::new(policy),
            published: Vec::new(),
            workers: [Self::worker(provider).await, Self::worker(provider).await],
            told: Vec::new(),
        }
    }

    async fn worker(provider: &P) -> Worker {
        Worker {
            // One at a time, so that none is taken ahead.
            deliveries: consume_with_lease(provider, &TOPIC, 1, LEASE).await,
            running: None,
        }
    }

    fn below(&self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }

    async fn run(mut self) {
        for _ in 0..STEPS {
            match self.below(10) {
                0..4 => self.publish().await,
                4 => self.publish_again().await,
                5 => self.wait(self.below(2500)).await,
                6 | 7 => self.take().await,
                _ => self.settle().await,
            }
        }
        self.finish().await;
    }

    fn told(&self) -> String {
        format!("{:?}, seed {}:\n{}", self.policy, self.seed, self.told.join("\n"))
    }

    async fn publish(&mut self) {
        let (number, delay) = (self.published.len(), Duration::from_millis(self.below(3000)));
        let clock = &self.provider.services().clock;
        let mut task = Messages::new(self.provider.services()).task();
        let payload = Json::parse(format!(r#"{{"letter":{number}}}"#), &Limits::default());
        task.payload = payload.expect("a small payload is within the limits");
        if self.policy == CoalescingPolicy::Replace {
            task.not_before = Some(after(clock.now(), delay));
        }
        task.coalescing = Some(Coalescing {
            policy: self.policy,
            ..Coalescing::replace(format!("walk {}", self.seed))
        });
        self.published.push(task.clone());
        self.compare(task, delay).await;
    }

    async fn publish_again(&mut self) {
        if let Some(last) = self.published.len().checked_sub(1) {
            let one = usize::try_from(self.below(1 + last as u64)).unwrap_or_default();
            self.compare(self.published[one].clone(), Duration::ZERO).await;
        }
    }

    async fn compare(&mut self, task: TaskEnvelope, delay: Duration) {
        let (id, now) = (task.id, self.provider.services().clock.now());
        let expected = self.model.publish(id, delay, now);
        self.told.push(format!("{now} publish {id}: {expected:?}"));
        let mut results = soon("an answer", self.provider.queue_publisher().publish(vec![task])).await;
        let answer = match results.pop().expect("one answer").expect("it is published") {
            Published::Enqueued(_) => Answer::New,
            Published::AlreadyThere(_) => Answer::Known,
            Published::Coalesced { into, why } => match why {
                Coalesced::Dropped => Answer::Into(into),
                Coalesced::Replaced(gone) => Answer::InsteadOf(gone),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(answer, expected, "{}", self.told());
    }

    async fn wait(&mut self, millis: u64) {
        self.told.push(format!("{millis} ms later"));
        self.provider.advance(Duration::from_millis(millis)).await;
    }

    async fn take(&mut self) {
        let now = self.provider.services().clock.now();
        let due = self.model.due(now);
        let one = usize::try_from(self.below(2)).unwrap_or_default();
        if due.is_empty() || self.workers[one].running.is_some() {
            return;
        }
        self.told.push(format!("{now} take one of {due:?}"));
        let what = self.told();
        let delivery = next(&mut self.workers[one].deliveries, &what).await;
        let id = task_id(&*delivery);
        assert!(due.contains(&id), "{id} came\n{what}");
        self.model.taken(id);
        self.workers[one].running = Some(delivery);
    }

    async fn settle(&mut self) {
        let one = usize::try_from(self.below(2)).unwrap_or_default();
        let Some(delivery) = self.workers[one].running.take() else {
            return;
        };
        let id = task_id(&*delivery);
        let wait = Duration::from_millis(self.below(4000));
        let how = self.below(7);
        self.told.push(format!("settle {id}: {how}"));
        match how {
            0..3 => self.finish_one(id, delivery).await,
            3 => {
                ok("it to be given up", delivery.dead_letter(&failure())).await;
                self.model.over(id);
            }
            4 => {
                let due = after(self.provider.services().clock.now(), wait);
                ok("it to be retried", delivery.retry(wait, true, Some(&failure()))).await;
                self.model.again(id, Some(due), false);
            }
            5 => {
                ok("it to be given back", delivery.give_back()).await;
                self.model.again(id, None, false);
            }
            _ => self.lose(id, delivery).await,
        }
    }

    async fn finish_one(&mut self, id: MessageId, delivery: Box<dyn Delivery>) {
        ok("it to be acked", delivery.ack(&Outcome::Completed)).await;
        self.model.over(id);
    }

    async fn lose(&mut self, id: MessageId, delivery: Box<dyn Delivery>) {
        let losses = self
            .model
            .tasks
            .iter()
            .find(|task| task.id == id)
            .map_or(0, |task| task.losses);
        // More would be given up, which is for the queue to test.
        if losses > 0 || !P::RESCUES_TASKS {
            return self.finish_one(id, delivery).await;
        }
        drop(delivery);
        self.provider.advance(PAST_LEASE).await;
        ok("a rescue", self.provider.queue_maintenance().rescue_expired()).await;
        self.model.again(id, None, true);
    }

    /// Everything is taken and done, and then there is nothing more.
    async fn finish(&mut self) {
        for one in 0..2 {
            if let Some(delivery) = self.workers[one].running.take() {
                self.finish_one(task_id(&*delivery), delivery).await;
            }
        }
        loop {
            let now = self.provider.services().clock.now();
            while !self.model.due(self.provider.services().clock.now()).is_empty() {
                let what = format!("the rest\n{}", self.told());
                let delivery = next(&mut self.workers[0].deliveries, &what).await;
                let id = task_id(&*delivery);
                assert!(self.model.tasks.iter().any(|task| task.id == id), "{id} came\n{what}");
                self.finish_one(id, delivery).await;
            }
            let Some(due) = self.model.next_due(now) else { break };
            self.provider.advance((due - now).to_std().unwrap_or_default()).await;
        }
        assert!(self.model.tasks.is_empty(), "{}", self.told());
        let told = self.told();
        nothing_comes(&mut self.workers[0].deliveries, &told).await;
        for worker in &mut self.workers {
            worker.deliveries.stop().await;
        }
    }
}
