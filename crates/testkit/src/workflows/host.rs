//! What a run's code asks of the engine while it is polled.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use aftercommit_domain::contract::{ChangeName, SignalName};
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{StepCommand, StepError, StepFuture, StepNumber, WorkflowHost, WorkflowProblem};
use serde_json::Value;

/// One life of a run.
pub(super) struct Host {
    life: Mutex<Life>,
}

pub(super) struct Life {
    now: Timestamp,
    answers: BTreeMap<StepNumber, Result<Value, StepError>>,
    signals: HashMap<SignalName, VecDeque<Value>>,
    /// The order in which unread signals came.
    unread: VecDeque<SignalName>,
    /// The steps an earlier life of this run began, and those of this one.
    recorded: BTreeMap<StepNumber, String>,
    begun: BTreeSet<StepNumber>,
    changes: BTreeSet<ChangeName>,
    /// The code is where an earlier life has been.
    is_replaying: bool,
    polled: Polled,
}

/// What the code did in one poll.
#[derive(Default)]
pub(super) struct Polled {
    pub(super) commands: Vec<(StepNumber, StepCommand)>,
    pub(super) given_up: Vec<StepNumber>,
    pub(super) changes: Vec<ChangeName>,
}

impl Host {
    pub(super) fn new(
        began: Timestamp,
        recorded: BTreeMap<StepNumber, String>,
        changes: BTreeSet<ChangeName>,
    ) -> Arc<Self> {
        Arc::new(Self {
            life: Mutex::new(Life {
                now: began,
                answers: BTreeMap::new(),
                signals: HashMap::new(),
                unread: VecDeque::new(),
                recorded,
                begun: BTreeSet::new(),
                changes,
                is_replaying: false,
                polled: Polled::default(),
            }),
        })
    }

    pub(super) fn answer(&self, at: Timestamp, step: StepNumber, answer: Result<Value, StepError>) {
        let mut life = self.lock();
        life.now = at;
        life.answers.insert(step, answer);
    }

    pub(super) fn signal(&self, at: Timestamp, name: SignalName, payload: Value) {
        let mut life = self.lock();
        life.now = at;
        life.unread.push_back(name.clone());
        life.signals.entry(name).or_default().push_back(payload);
    }

    pub(super) fn time_is(&self, at: Timestamp) {
        self.lock().now = at;
    }

    /// A poll begins.
    pub(super) fn begin_poll(&self, is_replaying: bool) {
        let mut life = self.lock();
        life.is_replaying = is_replaying;
        life.polled = Polled::default();
    }

    /// A poll is over: what the code did in it.
    pub(super) fn end_poll(&self) -> Polled {
        std::mem::take(&mut self.lock().polled)
    }

    /// Whether the code of this life has begun a step.
    pub(super) fn has_begun(&self, step: StepNumber) -> bool {
        self.lock().begun.contains(&step)
    }

    /// The signals that nobody took, in the order in which they came.
    pub(super) fn unread(&self) -> Vec<(SignalName, Value)> {
        let life = self.lock();
        let mut signals = life.signals.clone();
        let take = |name: &SignalName| {
            let payload = signals.get_mut(name)?.pop_front()?;
            Some((name.clone(), payload))
        };
        life.unread.iter().filter_map(take).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Life {
    fn take_signal(&mut self, name: &SignalName) -> Option<Value> {
        let payload = self.signals.get_mut(name)?.pop_front()?;
        // The oldest of its name.
        if let Some(at) = self.unread.iter().position(|unread| unread == name) {
            self.unread.remove(at);
        }
        Some(payload)
    }
}

/// The host as its run holds it.
pub(super) struct HostPort(pub(super) Arc<Host>);

impl WorkflowHost for HostPort {
    fn now(&self) -> Timestamp {
        self.0.lock().now
    }

    fn begin(&self, number: StepNumber, command: StepCommand) -> Result<StepFuture, WorkflowProblem> {
        let asked = command.label();
        let signal = match &command {
            StepCommand::WaitSignal { name } => Some(name.clone()),
            StepCommand::Activity { .. } | StepCommand::Sleep { .. } | StepCommand::Child { .. } => None,
        };
        let mut life = self.0.lock();
        let recorded = life.recorded.get(&number).cloned();
        match recorded {
            Some(recorded) if recorded == asked => {}
            None if !life.is_replaying => {
                life.recorded.insert(number, asked);
                life.polled.commands.push((number, command));
            }
            other => {
                return Err(WorkflowProblem::Nondeterministic {
                    step: number.0,
                    recorded: other.unwrap_or_else(|| "nothing".into()),
                    asked,
                });
            }
        }
        life.begun.insert(number);
        let host = Arc::clone(&self.0);
        Ok(Box::pin(std::future::poll_fn(move |_| {
            let mut life = host.lock();
            let answer = match &signal {
                Some(name) => life.take_signal(name).map(Ok),
                None => life.answers.remove(&number),
            };
            answer.map_or(Poll::Pending, Poll::Ready)
        })))
    }

    fn cancel(&self, number: StepNumber) {
        let mut life = self.0.lock();
        if !life.is_replaying {
            life.polled.given_up.push(number);
        }
    }

    fn patched(&self, change: &ChangeName) -> Result<bool, WorkflowProblem> {
        let mut life = self.0.lock();
        if life.changes.contains(change) {
            return Ok(true);
        }
        if life.is_replaying {
            return Ok(false);
        }
        life.changes.insert(change.clone());
        life.polled.changes.push(change.clone());
        Ok(true)
    }
}
