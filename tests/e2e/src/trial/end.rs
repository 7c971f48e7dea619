//! What became of a trial.

use crate::trial::Behaviour;

/// What became of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// `completed`, `dead`, or where its task is.
    pub state: String,
    /// How many attempts that took.
    pub attempts: u64,
    /// How often it has taken effect.
    pub effects: usize,
}

impl End {
    /// What must become of a trial, whatever became of its processes. One that always fails has `most` attempts.
    pub fn of(behaviour: Behaviour, most: u32) -> Self {
        let attempts = match behaviour {
            Behaviour::Fail => most,
            Behaviour::FailTimes { times } => times + 1,
            Behaviour::Succeed
            | Behaviour::FailUntilSwitched
            | Behaviour::HoldUntilSwitched
            | Behaviour::Take { .. }
            | Behaviour::BlockUntilSwitched
            | Behaviour::Abort { .. } => 1,
        };
        let state = match behaviour {
            Behaviour::Fail => "dead",
            _ => "completed",
        };
        Self {
            state: state.to_owned(),
            attempts: attempts.into(),
            effects: 1,
        }
    }
}
