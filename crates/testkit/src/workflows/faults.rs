//! What goes wrong, and where.

/// What goes wrong in an [`InMemoryWorkflows`](super::InMemoryWorkflows). Nothing by default.
///
/// The engine records something each time the code of a run has come to wait or end, and each time an activity or a timer is
/// done: [`InMemoryWorkflows::recorded`](super::InMemoryWorkflows::recorded) counts these places, from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFaults {
    /// The process dies before this is recorded: it was done for nothing, and is done again.
    pub crash_before: Option<u64>,
    /// The process dies right after this is recorded.
    pub crash_after: Option<u64>,
    /// Every workflow that is no child is cancelled right after this is recorded.
    pub cancel_after: Option<u64>,
    /// This attempt of an activity, counted over all of them from 1, fails without having begun, and may be tried again.
    pub fail_attempt: Option<u64>,
    /// The code of a run is dropped whenever it waits, and run again from its beginning for whatever comes next: each thing it
    /// is handed shows whether it takes the same way.
    pub evict_always: bool,
    /// Every attempt that succeeds is run once more before that is recorded, as if its worker had died.
    pub run_attempts_twice: bool,
}

/// What becomes of something that is to be recorded.
pub(super) enum Fate {
    Kept,
    Lost,
    KeptAndCrash,
    KeptAndCancel,
}

impl WorkflowFaults {
    pub(super) fn at(&self, place: u64) -> Fate {
        if self.crash_before == Some(place) {
            Fate::Lost
        } else if self.crash_after == Some(place) {
            Fate::KeptAndCrash
        } else if self.cancel_after == Some(place) {
            Fate::KeptAndCancel
        } else {
            Fate::Kept
        }
    }
}
