//! Trying again for a while: a store that is away for a moment costs no delivery.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long a settlement is tried before it is given up, and the delivery with it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// The wait after the first failure; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Calls until it succeeds, the time is over, or what it is for is over.
///
/// # Errors
/// The last error.
pub(crate) async fn patiently<T, E, Fut>(over: &CancellationToken, mut call: impl FnMut() -> Fut) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>>,
{
    let started = Instant::now();
    let mut wait = FIRST_WAIT;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if started.elapsed() + wait > PATIENCE {
            return Err(error);
        }
        tokio::select! {
            () = over.cancelled() => return Err(error),
            () = sleep(wait) => {}
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
