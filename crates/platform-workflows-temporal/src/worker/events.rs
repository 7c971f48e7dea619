//! What a run is to be handed, in the order in which it was recorded.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use aftercommit_domain::workflows::StepError;
use serde_json::Value;

/// Something that was recorded.
#[derive(Debug)]
pub(super) enum Event {
    /// The SDK has something for this step.
    Step(u64),
    /// A signal.
    Signal(Signal),
    /// The workflow is to end.
    Cancelled,
}

/// A signal that came.
#[derive(Clone)]
pub(super) struct Signal {
    pub(super) name: String,
    /// The request that brought it; `None` of another program's.
    pub(super) request_id: Option<String>,
    /// What it says; or that it cannot be read.
    pub(super) value: Result<Value, StepError>,
}

impl fmt::Debug for Signal {
    /// Without what it says, which does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("name", &self.name)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// What was recorded and not handed on yet.
///
/// One activation of the SDK may bring several things. It resolves them one after the other, in the order of the history,
/// and wakes each that waits: that order is kept here, so that a race is won by what was first, the same in every replay.
#[derive(Debug, Default)]
pub(super) struct Events {
    waiting: Mutex<VecDeque<Event>>,
}

impl Events {
    pub(super) fn push(&self, event: Event) {
        self.lock().push_back(event);
    }

    pub(super) fn pop(&self) -> Option<Event> {
        self.lock().pop_front()
    }

    /// What nobody was handed.
    pub(super) fn take(&self) -> VecDeque<Event> {
        std::mem::take(&mut *self.lock())
    }

    /// Wakes by noting the step.
    pub(super) fn waker_of_step(self: &Arc<Self>, number: u64) -> Waker {
        Waker::from(Arc::new(Note(Arc::clone(self), Some(number))))
    }

    /// Wakes by noting that the workflow is to end.
    pub(super) fn waker_of_cancellation(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(Note(Arc::clone(self), None)))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down who was woken. Nothing else is woken: the SDK polls a workflow after each activation in any case.
struct Note(Arc<Events>, Option<u64>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.push(self.1.map_or(Event::Cancelled, Event::Step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_signal_says_stays_out_of_logs() {
        let events = Events::default();
        events.push(Event::Signal(Signal {
            name: "note".to_owned(),
            request_id: None,
            value: Ok("a secret".into()),
        }));
        let shown = format!("{events:?}");
        assert!(shown.contains("note") && !shown.contains("secret"), "{shown}");
    }
}
