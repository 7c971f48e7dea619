//! The application `trial-app`: what its handler can be told to do, and what came of it.

mod application;
mod end;
mod journal;

use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};

pub use application::TrialApp;
pub use end::End;
pub use journal::{Run, runs_of};

/// The topic of its task.
pub const TOPIC: &str = "trials";
/// The topic of the task that is debounced.
pub const REFRESHES: &str = "refreshes";
/// The code of its handler's failures.
pub const FAILED: &str = "trial.failed";
/// What the file is called that shows that a handler keeps its thread.
pub const BLOCKED: &str = "blocked";

/// An order for one task.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Trial {
    /// Its number, which no other of the same database has.
    pub trial: u32,
    /// What its handler does.
    pub behaviour: Behaviour,
}

/// A publish of the task that is debounced. All of them have one key.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RefreshOrder {
    /// The task's id.
    pub id: uuid::Uuid,
    /// What it carries.
    pub number: u32,
    /// How long it must be quiet.
    pub quiet_millis: u64,
}

/// What the handler does after it has noted its run and taken its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Payload)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// Nothing more.
    Succeed,
    /// Fails.
    Fail,
    /// Fails in its first attempts.
    FailTimes {
        /// How many.
        times: u32,
    },
    /// Fails until [`TrialApp::switch`].
    FailUntilSwitched,
    /// Waits for [`TrialApp::switch`].
    HoldUntilSwitched,
    /// Takes its time, half of it before the effect.
    Take {
        /// How long.
        millis: u32,
    },
    /// Keeps its thread until [`TrialApp::switch`], so that nothing can cancel it.
    BlockUntilSwitched,
    /// Takes its process down.
    Abort {
        /// After how long.
        after_millis: u32,
    },
}

/// Whose it is: of each organization so few that operators see all of them in one list.
pub fn organization_of(trial: u32) -> i64 {
    i64::from(trial / 500) + 1
}
