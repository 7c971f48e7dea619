//! The numbers of a demonstration while it goes on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aftercommit::domain::ids::MessageId;
use aftercommit::{MessageTree, NodeState};

use crate::demo::admin::Waiting;
use crate::demo::call::What;
use crate::demo::followed::Counts;
use crate::demo::order::{Asked, Comparison, Order};
use crate::demo::verdict::Seen;

/// Latencies that are kept; beyond that every other one is forgotten.
const LATENCIES: usize = 100_000;
/// Findings that are told one by one.
const TOLD: usize = 20;

/// The numbers, shared by everything that counts.
#[derive(Default)]
pub(crate) struct Tally {
    numbers: Mutex<Numbers>,
    /// Tasks that say they have sent an e-mail.
    sent: Mutex<BTreeSet<MessageId>>,
    order: Mutex<Order>,
}

/// What was counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    /// Requests that were begun, repetitions included.
    pub(crate) requests: u64,
    /// By what they are about: how many were taken.
    pub(crate) taken: BTreeMap<What, u64>,
    pub(crate) refused: u64,
    /// Requests that have no answer yet.
    pub(crate) unanswered: u64,
    /// Repetitions under the same key that got the same answer.
    pub(crate) repeated: u64,
    /// Tries beyond the first, because there was no answer.
    pub(crate) tries: u64,
    /// When requests were answered lately.
    pub(crate) lately: VecDeque<Instant>,
    pub(crate) events: u64,
    pub(crate) relayed: u64,
    pub(crate) tasks: BTreeMap<NodeState, u64>,
    pub(crate) retries: u64,
    pub(crate) ended_again: u64,
    /// Tasks that are dead letters, with the reason: the first ones. How many there are is in `tasks`.
    pub(crate) given_up: Vec<String>,
    /// What followed from records.
    pub(crate) followed: Counts,
    /// E-mails that tasks say they have sent, and of which there is no file.
    pub(crate) emails_missing: u64,
    /// Files that arrived.
    pub(crate) emails: u64,
    /// From commit to last effect.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) slowest: Option<(Duration, What)>,
    /// How long it took lately.
    pub(crate) typical: Duration,
    /// Requests whose consequences are not all over.
    pub(crate) open: u64,
    pub(crate) waiting: Option<Waiting>,
    /// What the processes are in trouble with, since when, and how often.
    pub(crate) trouble: Option<Trouble>,
    pub(crate) troubles: u64,
    pub(crate) lost: Findings,
    pub(crate) doubled: Findings,
    pub(crate) stuck: Findings,
    pub(crate) surprises: Findings,
}

/// Something that does not answer.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) reason: String,
    pub(crate) since: Instant,
}

/// What was found wrong.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) count: u64,
    /// The first ones, in words.
    pub(crate) told: Vec<String>,
}

impl Findings {
    pub(crate) fn add(&mut self, words: String) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(words);
        }
    }
}

impl Tally {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Numbers> {
        // The guarded data is plain values, whole after any panic.
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen of a request replaces what was seen before.
    pub(crate) fn saw(&self, before: &Seen, now: &Seen, what: What) {
        self.sent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(&now.sent);
        self.lock().saw(before, now, what);
    }

    /// The tasks that say they have sent an e-mail.
    pub(crate) fn sent(&self) -> BTreeSet<MessageId> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What followed from a request that is over now.
    pub(crate) fn placed(&self, asked: Asked, tree: &MessageTree) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.saw(asked, tree);
    }

    /// Compares what came with what happened first.
    pub(crate) fn compare(&self) -> Comparison {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).compare()
    }

    /// Everything as it is now.
    pub(crate) fn numbers(&self) -> Numbers {
        self.lock().clone()
    }
}

impl Numbers {
    /// A request was answered.
    pub(crate) fn answered(&mut self) {
        let now = Instant::now();
        self.lately.push_back(now);
        while self
            .lately
            .front()
            .is_some_and(|first| now.duration_since(*first) > Duration::from_secs(5))
        {
            self.lately.pop_front();
        }
        self.trouble = None;
    }

    /// Answered requests per second, lately.
    pub(crate) fn pace(&self) -> f64 {
        let now = Instant::now();
        let window = Duration::from_secs(5);
        let count = self
            .lately
            .iter()
            .filter(|at| now.duration_since(**at) <= window)
            .count();
        let first = self
            .lately
            .front()
            .map_or(window, |first| now.duration_since(*first).min(window));
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / first.as_secs_f64().max(1.0)
    }

    /// Something does not answer.
    pub(crate) fn in_trouble(&mut self, reason: &str) {
        if let Some(trouble) = &mut self.trouble {
            reason.clone_into(&mut trouble.reason);
        } else {
            self.troubles += 1;
            self.trouble = Some(Trouble {
                reason: reason.to_owned(),
                since: Instant::now(),
            });
        }
    }

    fn saw(&mut self, before: &Seen, now: &Seen, what: What) {
        let replace = |total: &mut u64, before: u64, now: u64| *total = total.saturating_sub(before) + now;
        replace(&mut self.events, before.events, now.events);
        replace(&mut self.relayed, before.relayed, now.relayed);
        replace(&mut self.retries, before.retries, now.retries);
        replace(&mut self.ended_again, before.ended_again, now.ended_again);
        for (state, count) in &before.tasks {
            replace(self.tasks.entry(*state).or_default(), *count, 0);
        }
        for (state, count) in &now.tasks {
            *self.tasks.entry(*state).or_default() += count;
        }
        self.given_up.retain(|words| !before.given_up.contains(words));
        let room = TOLD.saturating_sub(self.given_up.len());
        self.given_up.extend(now.given_up.iter().take(room).cloned());
        for (what, count) in &before.followed {
            replace(self.followed.entry(*what).or_default(), *count, 0);
        }
        for (what, count) in &now.followed {
            *self.followed.entry(*what).or_default() += count;
        }
        if let (None, Some(took)) = (before.took, now.took) {
            if self.latencies.len() == LATENCIES {
                let mut place = 0;
                self.latencies.retain(|_| {
                    place += 1;
                    place % 2 == 0
                });
            }
            self.latencies.push(took);
            self.typical = (self.typical * 7 + took) / 8;
            if self.slowest.is_none_or(|(slowest, _)| slowest < took) {
                self.slowest = Some((took, what));
            }
        }
    }

    /// The latency that this share of all stays below.
    pub(crate) fn latency(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a bounded number"
        )]
        let place = ((sorted.len() as f64) * share).ceil() as usize;
        sorted.get(place.saturating_sub(1)).copied()
    }

    /// Tasks in this state.
    pub(crate) fn tasks_in(&self, state: NodeState) -> u64 {
        self.tasks.get(&state).copied().unwrap_or(0)
    }

    /// Whether everything is as it has to be.
    pub(crate) fn is_good(&self) -> bool {
        let bad = [&self.lost, &self.doubled, &self.stuck, &self.surprises];
        bad.iter().all(|findings| findings.count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_again_is_not_counted_again() {
        let mut numbers = Numbers::default();
        let seen = |state, count, took| Seen {
            events: 2,
            tasks: BTreeMap::from([(state, count)]),
            took,
            ..Seen::default()
        };
        let (first, second) = (
            seen(NodeState::Running, 1, None),
            seen(NodeState::Completed, 1, Some(Duration::from_millis(3))),
        );
        numbers.saw(&Seen::default(), &first, What::Invite);
        numbers.saw(&first, &second, What::Invite);
        numbers.saw(&second, &second, What::Invite);
        assert_eq!(numbers.events, 2);
        assert_eq!(
            (
                numbers.tasks_in(NodeState::Running),
                numbers.tasks_in(NodeState::Completed)
            ),
            (0, 1)
        );
        assert_eq!(
            (numbers.latencies.len(), numbers.latency(0.99)),
            (1, Some(Duration::from_millis(3)))
        );
    }

    #[test]
    fn what_was_given_up_is_told_once_as_long_as_it_is_so_and_not_without_end() {
        let given_up = |ids: std::ops::Range<u32>| Seen {
            given_up: ids.map(|id| format!("receipts/send {id}")).collect(),
            ..Seen::default()
        };
        let mut numbers = Numbers::default();
        numbers.saw(&Seen::default(), &given_up(0..2), What::Invite);
        numbers.saw(&given_up(0..2), &given_up(0..2), What::Invite);
        assert_eq!(numbers.given_up, ["receipts/send 0", "receipts/send 1"]);
        numbers.saw(&given_up(0..2), &given_up(1..2), What::Invite);
        assert_eq!(numbers.given_up, ["receipts/send 1"], "one was replayed");
        numbers.saw(&Seen::default(), &given_up(2..100), What::Invite);
        assert_eq!(numbers.given_up.len(), TOLD);
    }
}
