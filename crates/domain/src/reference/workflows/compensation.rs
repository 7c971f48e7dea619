//! How a workflow ends that took back what it had done.

use crate::workflows::{Exit, StepError};

/// The end of a workflow that stopped for `error` and undid what it had done. What could not be undone is told of, because a
/// person must look after it.
pub(super) fn after_undoing(error: StepError, undone: Result<(), StepError>) -> Exit {
    match undone {
        Ok(()) => error.into(),
        Err(failure) => Exit::failed(
            "compensation.failed",
            format!("{failure}; it was to undo what came before: {error}"),
        ),
    }
}
