//! Signs of life of an attempt of an activity: its worker's, which nobody asks for, and its own, where they are expected.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use temporalio_common::protos::temporal::api::common::v1::Payload;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use crate::payload;

/// An attempt whose worker is silent for this long is given to another worker, whatever its time is.
const LOST_AFTER: Duration = Duration::from_secs(10);
/// How often a worker shows that an attempt lives, and hears whether it is to end.
pub(super) const PULSE: Duration = Duration::from_secs(2);

/// After which silence of its worker the server takes an attempt for lost.
pub(super) fn lost_after(expected: Option<Duration>) -> Duration {
    expected.map_or(LOST_AFTER, |expected| expected.min(LOST_AFTER))
}

/// Asks the attempt itself for signs of life. It follows the input and the cause of an activity.
pub(super) fn expect_signs(within: Duration) -> Payload {
    payload::of(&u64::try_from(within.as_millis()).unwrap_or(u64::MAX))
}

/// What is asked of the attempt that is given this.
pub(super) fn expected_signs(input: &[Payload]) -> Option<Duration> {
    let asked = input.get(2).map(payload::read::<u64>)?;
    asked.ok().map(Duration::from_millis)
}

/// The signs of life of one attempt.
pub(super) struct Presence {
    pulse: Duration,
    own: Option<OwnSigns>,
}

/// The signs that the attempt gives itself.
#[derive(Clone)]
struct OwnSigns {
    within: Duration,
    last: Arc<Mutex<Instant>>,
}

/// Ends with the attempt.
pub(super) struct Pulse(JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Presence {
    /// `lost_after`: when the server takes it for lost. `expected`: how long the attempt itself may be silent.
    pub(super) fn new(lost_after: Option<Duration>, expected: Option<Duration>) -> Self {
        let lost_after = lost_after.filter(|after| !after.is_zero());
        Self {
            pulse: lost_after.map_or(PULSE, |after| (after / 4).min(PULSE)),
            own: expected.map(|within| OwnSigns {
                within,
                last: Arc::new(Mutex::new(Instant::now())),
            }),
        }
    }

    /// The attempt gave a sign of life. It comes too late after a silence that was too long, as of a process that was stopped.
    pub(super) fn note(&self) {
        if let Some(own) = &self.own
            && own.due().is_none_or(|due| Instant::now() < due)
        {
            *own.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Shows again and again that the attempt lives, on a task of its own, so that one that computes is not taken for lost;
    /// but no longer than it gives the signs that are expected of it.
    pub(super) fn pulse<F, Beat>(&self, beat: F) -> Pulse
    where
        F: Fn() -> Beat + Send + 'static,
        Beat: Future<Output = ()> + Send,
    {
        let (pulse, own) = (self.pulse, self.own.clone());
        let beating = async move {
            loop {
                sleep(pulse).await;
                beat().await;
            }
        };
        #[expect(clippy::disallowed_methods, reason = "it ends with the attempt")]
        Pulse(tokio::spawn(async move {
            tokio::select! {
                () = beating => {}
                () = silent(own.as_ref()) => {}
            }
        }))
    }

    /// Returns when the attempt was silent for longer than it may be.
    pub(super) async fn silent(&self) {
        silent(self.own.as_ref()).await;
    }
}

async fn silent(own: Option<&OwnSigns>) {
    while let Some(due) = own.and_then(OwnSigns::due) {
        if due <= Instant::now() {
            return;
        }
        sleep_until(due).await;
    }
    std::future::pending::<()>().await;
}

impl OwnSigns {
    /// When it has been silent for too long. `None`: never.
    fn due(&self) -> Option<Instant> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.checked_add(self.within)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_server_is_told_to_miss_workers_after_ten_seconds_at_most_whatever_signs_attempts_are_to_give() {
        assert_eq!(lost_after(None), LOST_AFTER);
        assert_eq!(lost_after(Some(SECOND)), SECOND);
        assert_eq!(lost_after(Some(300 * SECOND)), LOST_AFTER);
    }

    #[test]
    fn what_is_expected_of_an_attempt_follows_its_input_and_its_cause() {
        let (input, cause) = (payload::of(&"input"), payload::of(&"cause"));
        let asked = [input.clone(), cause.clone(), expect_signs(30 * SECOND)];
        assert_eq!(expected_signs(&asked), Some(30 * SECOND));
        assert_eq!(expected_signs(&[input, cause]), None);
    }

    #[tokio::test]
    async fn a_pulse_ends_with_the_signs_that_are_expected_of_an_attempt() {
        let presence = Presence::new(None, Some(Duration::from_millis(20)));
        let mut pulse = presence.pulse(|| async {});
        presence.silent().await;
        (&mut pulse.0).await.unwrap();
    }

    #[tokio::test]
    async fn an_attempt_of_which_no_signs_are_expected_is_shown_to_live_again_and_again() {
        let presence = Presence::new(Some(Duration::from_millis(40)), None);
        let beats = Arc::new(Semaphore::new(0));
        let beating = Arc::clone(&beats);
        let mut pulse = presence.pulse(move || {
            beating.add_permits(1);
            std::future::ready(())
        });
        beats.acquire_many(5).await.unwrap().forget();
        pulse.0.abort();
        assert!((&mut pulse.0).await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn a_sign_of_life_after_too_long_a_silence_comes_too_late() {
        let presence = Presence::new(None, Some(Duration::ZERO));
        presence.note();
        presence.silent().await;
        let due = presence.own.as_ref().and_then(OwnSigns::due);
        presence.note();
        assert_eq!(presence.own.as_ref().and_then(OwnSigns::due), due);
    }

    #[test]
    fn a_sign_of_life_puts_the_silence_off() {
        let presence = Presence::new(None, Some(SECOND));
        let due = || presence.own.as_ref().and_then(OwnSigns::due).unwrap();
        let before = due();
        while due() <= before {
            presence.note();
        }
        assert!(due() > before);
    }
}
