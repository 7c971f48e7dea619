//! Makes the requests: at a pace, each until it is answered, written down before and after.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::demo::auditor::Audit;
use crate::demo::call::{Call, Expected, Outcome, What};
use crate::demo::ledger::Ledger;
use crate::demo::mailbox::Mailbox;
use crate::demo::order::Asked;
use crate::demo::tally::Tally;
use crate::demo::target::Target;
use crate::demo::traffic::Traffic;
use crate::demo::verdict::Answered;
use crate::demo::world::World;

/// The most requests without an answer at one time.
const AT_ONCE: usize = 64;
/// Waits between two tries of a request that got no answer.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// A burst: one second in ten has three times as many requests.
const CYCLE: Duration = Duration::from_secs(10);
const BURST: Duration = Duration::from_secs(1);
const BURST_FACTOR: f64 = 3.0;
/// How long no pace is made up for.
const FORGOTTEN: Duration = Duration::from_millis(500);

/// Everything that requests have in common.
pub(crate) struct Driver {
    pub(crate) target: Arc<Target>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) world: Mutex<World>,
    pub(crate) mailbox: Arc<Mutex<Mailbox>>,
    pub(crate) audits: mpsc::Sender<Audit>,
    /// Ends what is still tried again.
    pub(crate) giving_up: CancellationToken,
    /// Why nothing more can be asked for, if that is so.
    pub(crate) broken: Mutex<Option<String>>,
}

impl Driver {
    /// Makes requests until `length` is over or `stop`, and then waits for the answers of all of them, `patience` long at
    /// most.
    pub(crate) async fn drive(
        self: &Arc<Self>,
        mut traffic: Traffic,
        rate: u32,
        (length, patience): (Duration, Duration),
        stop: CancellationToken,
    ) {
        let (began, slots, requests) = (Instant::now(), Arc::new(Semaphore::new(AT_ONCE)), TaskTracker::new());
        let mut next = began;
        while began.elapsed() < length && !stop.is_cancelled() && self.broken().is_none() {
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(began + length) => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(next) => {}
            }
            let call = traffic.next(&mut self.world(), &mut lock(&self.mailbox));
            let driver = Arc::clone(self);
            requests.spawn(async move {
                driver.follow(call).await;
                drop(slot);
            });
            next = (next + gap(began.elapsed(), rate)).max(Instant::now().checked_sub(FORGOTTEN).unwrap_or(next));
        }
        requests.close();
        if timeout(patience, requests.wait()).await.is_err() {
            self.giving_up.cancel();
            requests.wait().await;
        }
    }

    /// One request, until it is answered.
    async fn follow(&self, call: Call) {
        let tenant = self.world().organization_of(&call);
        if let Some(ledger) = &self.ledger
            && let Err(reason) = ledger.intend(&call, tenant.as_deref()).await
        {
            return self.break_off(&reason);
        }
        {
            let mut numbers = self.tally.lock();
            numbers.requests += 1;
            numbers.unanswered += 1;
        }
        let made = std::time::Instant::now();
        let mut tries = 0;
        let outcome = loop {
            tries += 1;
            let sent = tokio::select! {
                () = self.giving_up.cancelled() => Outcome::Unknown { reason: "given up".into() },
                sent = self.target.send(&call) => sent,
            };
            let outcome = as_of_try(&call, sent, tries);
            if let Some(ledger) = &self.ledger
                && let Err(reason) = ledger.answered(&call, tries, &outcome).await
            {
                return self.break_off(&reason);
            }
            match &outcome {
                Outcome::Unknown { reason } if !self.giving_up.is_cancelled() => {
                    let mut numbers = self.tally.lock();
                    numbers.in_trouble(reason);
                    numbers.tries += 1;
                }
                Outcome::Unknown { .. } | Outcome::Taken { .. } | Outcome::Refused { .. } => break outcome,
            }
            let wait = FIRST_WAIT.saturating_mul(1 << u32::min(tries - 1, 8)).min(LONGEST_WAIT);
            tokio::select! {
                () = self.giving_up.cancelled() => {}
                () = sleep(wait) => {}
            }
        };
        let asked = Asked {
            rail: call.what.rail(),
            made,
            answered: std::time::Instant::now(),
        };
        self.conclude(&call, &outcome, asked).await;
    }

    async fn conclude(&self, call: &Call, outcome: &Outcome, asked: Asked) {
        self.count(call, outcome);
        self.world().learn(call, outcome);
        let answered = match outcome {
            Outcome::Taken { .. } => Answered::Taken,
            Outcome::Refused { .. } => Answered::Refused,
            Outcome::Unknown { .. } => Answered::Unknown,
        };
        // A repetition belongs to what its first one led to.
        if !call.is_repetition {
            let id = (call.number, call.request_id.clone());
            let events = if signs_in_only(call, outcome) { &[] } else { call.events };
            // Nobody listens any more when the time for that is over.
            let _ = self
                .audits
                .send(Audit::new(id, call.what, (answered, asked), events))
                .await;
        }
    }

    fn count(&self, call: &Call, outcome: &Outcome) {
        let first_answer = call.is_repetition.then(|| {
            let world = self.world();
            let first = world.repeatable.iter().find(|(first, _)| first.number == call.number);
            first.map(|(_, answer)| answer.clone())
        });
        let mut numbers = self.tally.lock();
        numbers.unanswered = numbers.unanswered.saturating_sub(1);
        let id = &call.request_id;
        match outcome {
            Outcome::Taken { status, body } => {
                numbers.answered();
                if call.expected == Expected::Refused {
                    numbers
                        .surprises
                        .add(format!("{id}: taken with {status}, although it has to be refused"));
                }
                match first_answer.flatten() {
                    Some(first) if first != *body => {
                        numbers
                            .surprises
                            .add(format!("{id}: repeated under its key, it got another answer"));
                    }
                    Some(_) => numbers.repeated += 1,
                    None if call.is_repetition => {}
                    None => *numbers.taken.entry(call.what).or_default() += 1,
                }
            }
            Outcome::Refused { status, code } => {
                numbers.answered();
                numbers.refused += 1;
                if call.expected == Expected::Taken {
                    numbers.surprises.add(format!(
                        "{id}: {} {} refused with {status} {code}",
                        call.method, call.path
                    ));
                }
            }
            Outcome::Unknown { reason } => {
                numbers.stuck.add(format!(
                    "{id}: {} {} was never answered: {reason}",
                    call.method, call.path
                ));
            }
        }
    }

    fn break_off(&self, reason: &str) {
        *lock(&self.broken) = Some(format!("the ledger cannot be written: {reason}"));
    }

    /// Why nothing more was asked for, if that is so.
    pub(crate) fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is plain values, whole after any panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a later try says of the first one: what is gone already was deleted by it.
fn as_of_try(call: &Call, outcome: Outcome, tries: u32) -> Outcome {
    match outcome {
        Outcome::Refused { status: 404, .. } if tries > 1 && call.what == What::DeleteProject => Outcome::Taken {
            status: 404,
            body: serde_json::json!({ "project_id": call.about, "deleted_by_an_earlier_try": true }),
        },
        other => other,
    }
}

/// Following a link founds something only for someone who is new.
fn signs_in_only(call: &Call, outcome: &Outcome) -> bool {
    call.what == What::FollowLink
        && matches!(outcome, Outcome::Taken { .. })
        && outcome.field("organization_id").is_none()
}

/// How long after a request the next one is made. Bursts included, the average is the rate.
fn gap(elapsed: Duration, rate: u32) -> Duration {
    let in_cycle = Duration::from_nanos(u64::try_from(elapsed.as_nanos() % CYCLE.as_nanos()).unwrap_or(0));
    let burst = BURST.as_secs_f64() / CYCLE.as_secs_f64();
    let calm_factor = BURST_FACTOR.mul_add(-burst, 1.0) / (1.0 - burst);
    let factor = if in_cycle < BURST { BURST_FACTOR } else { calm_factor };
    Duration::from_secs_f64(1.0 / (f64::from(rate) * factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_do_not_change_the_average_pace() {
        let (mut at, mut count) = (Duration::ZERO, 0_u32);
        while at < CYCLE * 10 {
            at += gap(at, 20);
            count += 1;
        }
        assert!((1_980..=2_020).contains(&count), "{count}");
    }
}
