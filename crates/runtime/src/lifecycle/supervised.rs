//! A loop that cannot die: an error or a panic in a round backs off, shows in health, and the loop goes on.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::randomness::Randomness;
use aftercommit_domain::tasks::RetryPolicy;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::health::LoopHealth;

/// What a round asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// The next round at once.
    Again,
    /// The loop is over.
    Over,
}

/// How long a loop waits after failures.
#[derive(Clone)]
pub struct Backoff {
    policy: RetryPolicy,
    randomness: Arc<dyn Randomness>,
}

impl Backoff {
    /// From 100 ms, doubling, to 4 s: a loop is back within 5 s of what it waits for.
    pub fn new(randomness: Arc<dyn Randomness>) -> Self {
        let policy = RetryPolicy {
            max_attempts: u32::MAX,
            base: Duration::from_millis(100),
            factor: 2.0,
            max_delay: Duration::from_secs(4),
        };
        Self { policy, randomness }
    }

    /// How long to wait after this many failures in a row.
    pub fn delay(&self, failures: u32) -> Duration {
        self.policy.delay(failures, self.randomness.unit())
    }
}

/// Runs `round` again and again until it says it is over or `stop` is cancelled between two rounds. A round is never
/// cut in the middle: one that waits for something waits for `stop` as well, and one that lasts reports to `health`
/// itself as soon as it knows that it does its work.
pub async fn keep_going<F, Fut>(health: Arc<LoopHealth>, stop: CancellationToken, backoff: Backoff, mut round: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Round, Failure>>,
{
    while !stop.is_cancelled() {
        let result = AssertUnwindSafe(async { round().await }).catch_unwind().await;
        let failure = match result {
            Ok(Ok(Round::Again)) => {
                health.succeeded();
                // A round over stores that always answer at once must not keep others from running.
                tokio::task::coop::consume_budget().await;
                continue;
            }
            Ok(Ok(Round::Over)) => break,
            Ok(Err(failure)) => failure,
            Err(panic) => Failure::new("loop.panicked", ErrorClass::Retryable, panic_message(&*panic)),
        };
        let failures = health.failed(&failure);
        let wait = backoff.delay(failures);
        tracing::warn!(
            code = %failure.code,
            error = %failure,
            failures,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "a loop failed and tries again"
        );
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    health.stopped();
}

/// The words of a panic, whatever it carried.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
