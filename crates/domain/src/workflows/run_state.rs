//! What a run's context, its steps and its driver share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use uuid::Uuid;

use crate::contract::{ChangeName, Codec};
use crate::time::Timestamp;
use crate::workflows::host::{RunInfo, StepNumber, WorkflowHost};
use crate::workflows::{WaitingStep, WorkflowFailure, WorkflowProblem};

/// How many values a workflow may publish under different keys.
pub const MOST_PUBLISHED: usize = 64;
/// After how many steps a run should continue as new.
pub const LONG_RUN: u64 = 2000;
/// The longest key of a published value, in bytes.
const LONGEST_PUBLISHED_KEY: usize = 120;

pub(super) struct RunState {
    pub(super) host: Arc<dyn WorkflowHost>,
    pub(super) info: RunInfo,
    pub(super) codec: Codec,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    steps: u64,
    draws: u64,
    waiting: BTreeMap<StepNumber, WaitingStep>,
    /// Whether a step was awaited in this poll: without one, nothing will ever wake the run.
    is_awaited: bool,
    is_cancelled: bool,
    /// The run is dropped by its engine: its steps go on.
    is_left: bool,
    problem: Option<WorkflowProblem>,
    patches: BTreeMap<ChangeName, bool>,
    published: BTreeMap<String, Value>,
}

impl RunState {
    pub(super) fn new(host: Arc<dyn WorkflowHost>, info: RunInfo, codec: Codec) -> Self {
        Self {
            host,
            info,
            codec,
            state: Mutex::default(),
        }
    }

    pub(super) fn next_step(&self) -> StepNumber {
        let mut state = self.lock();
        state.steps += 1;
        StepNumber(state.steps)
    }

    /// How many steps were asked for so far.
    pub(super) fn steps(&self) -> u64 {
        self.lock().steps
    }

    pub(super) fn step_began(&self, number: StepNumber, label: String) {
        let since = self.host.now();
        let waiting = WaitingStep { number, label, since };
        self.lock().waiting.insert(number, waiting);
    }

    /// Answers whether its engine is to be told that it was given up.
    pub(super) fn step_ended(&self, number: StepNumber) -> bool {
        let mut state = self.lock();
        state.waiting.remove(&number);
        !state.is_left
    }

    pub(super) fn step_is_awaited(&self) {
        self.lock().is_awaited = true;
    }

    /// A poll begins.
    pub(super) fn forget_awaited(&self) {
        self.lock().is_awaited = false;
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.lock().is_awaited
    }

    pub(super) fn cancel(&self) {
        self.lock().is_cancelled = true;
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    pub(super) fn leave(&self) {
        self.lock().is_left = true;
    }

    pub(super) fn trouble(&self, problem: WorkflowProblem) {
        self.lock().problem.get_or_insert(problem);
    }

    pub(super) fn is_in_trouble(&self) -> bool {
        self.lock().problem.is_some()
    }

    pub(super) fn problem(&self) -> Option<WorkflowProblem> {
        self.lock().problem.clone()
    }

    /// The same as in every other run of the same history: made of the seed and of how many were drawn before.
    pub(super) fn draw(&self) -> Uuid {
        let mut state = self.lock();
        state.draws += 1;
        Uuid::new_v5(&self.info.seed, &state.draws.to_be_bytes())
    }

    pub(super) fn patched(&self, change: &ChangeName) -> bool {
        if let Some(known) = self.lock().patches.get(change) {
            return *known;
        }
        let answer = self.host.patched(change).unwrap_or_else(|problem| {
            self.trouble(problem);
            false
        });
        self.lock().patches.insert(change.clone(), answer);
        answer
    }

    pub(super) fn publish(&self, key: &str, value: Value) -> Result<(), WorkflowFailure> {
        let refused = |why: String| Err(WorkflowFailure::permanent("publish.refused", why));
        if key.is_empty() || key.len() > LONGEST_PUBLISHED_KEY || key.chars().any(char::is_control) {
            return refused(format!(
                "a key has 1 to {LONGEST_PUBLISHED_KEY} bytes without control characters"
            ));
        }
        let mut state = self.lock();
        if state.published.len() >= MOST_PUBLISHED && !state.published.contains_key(key) {
            return refused(format!("a workflow publishes at most {MOST_PUBLISHED} keys"));
        }
        state.published.insert(key.to_owned(), value);
        Ok(())
    }

    pub(super) fn published(&self) -> BTreeMap<String, Value> {
        self.lock().published.clone()
    }

    pub(super) fn published_value(&self, key: &str) -> Option<Value> {
        self.lock().published.get(key).cloned()
    }

    pub(super) fn waiting(&self) -> Vec<WaitingStep> {
        self.lock().waiting.values().cloned().collect()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.host.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
