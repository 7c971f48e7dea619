//! Waiting for something to become true, never for time to pass.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long most things are waited for: far more than they take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_mins(1);

const STEP: Duration = Duration::from_millis(20);

/// What `probe` finds, as soon as it finds something.
///
/// # Panics
/// It found nothing within `patience`; the message names `what`.
pub async fn eventually<T>(what: &str, patience: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        sleep(STEP).await;
    }
}
