//! What a use case that a task runs came to.

use std::time::Duration;

use crate::tasks::{Outcome, Reason};

/// What a use case that a task runs came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Progress<T = ()> {
    /// Done, with this result.
    Done(T),
    /// The state moved on: there is nothing to do any more, for this reason.
    NotWanted(&'static str),
    /// Not yet: again after this time.
    NotYet(Duration),
}

impl From<Progress> for Outcome {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Done(()) => Self::Completed,
            Progress::NotWanted(reason) => Self::Skipped(Reason::new(reason)),
            Progress::NotYet(after) => Self::Snoozed(after),
        }
    }
}
