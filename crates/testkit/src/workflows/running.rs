//! Running the code of workflows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use aftercommit_domain::failure::Failure;
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    Exit, RunProgress, StepNumber, WorkflowEnd, WorkflowProblem, WorkflowRegistry, WorkflowRun,
};

use super::InMemoryWorkflows;
use super::host::{Host, HostPort, Polled};
use super::requests::NewRun;
use super::state::{Event, Live, Run, RunEnd, State, What};
use super::steps::StepRecord;

impl InMemoryWorkflows {
    /// Hands one thing to every run that has something to be handed. Answers whether there was any.
    pub(super) fn run_codes(&self) -> bool {
        let mut any = false;
        let mut place = 0;
        while place < self.lock().runs.len() {
            any |= self.run_code(place);
            place += 1;
        }
        any
    }

    fn run_code(&self, place: usize) -> bool {
        let Some(mut live) = self.lock().take_live(place) else {
            return false;
        };
        // Polled without the lock: the code calls its host.
        let progress = live.code.poll(&mut Context::from_waker(Waker::noop()));
        let polled = live.host.end_poll();
        let now = self.now();
        self.lock().after_poll(place, live, progress, polled, now);
        true
    }
}

impl State {
    /// The code of a run that is to be polled, with the next thing handed to it.
    fn take_live(&mut self, place: usize) -> Option<Live> {
        let run = &mut self.runs[place];
        if run.end.is_some() || run.problem.is_some() || run.is_external {
            return None;
        }
        let mut live = match run.live.take() {
            Some(live) => live,
            None if self.faults.evict_always && run.polled == Some(run.history.len()) => return None,
            None => match begin(run, &self.registry) {
                Ok(live) => live,
                Err(problem) => {
                    run.problem = Some(Failure::of(&problem));
                    return None;
                }
            },
        };
        let position = match live.handed {
            None => 0,
            Some(handed) => {
                let Some(event) = run.history.get(handed) else {
                    run.live = Some(live);
                    return None;
                };
                hand(&live, event.clone());
                handed + 1
            }
        };
        live.handed = Some(position);
        live.host.begin_poll(run.has_been_at(position));
        Some(live)
    }

    fn after_poll(&mut self, place: usize, live: Live, progress: RunProgress, polled: Polled, now: Timestamp) {
        let run = &mut self.runs[place];
        let position = live.handed.unwrap_or_default();
        if run.end.is_some() {
            return;
        }
        let problem = match &progress {
            RunProgress::Stuck(problem) => Some(problem.clone()),
            RunProgress::Ended(Err(Exit::ContinueAsNew(_))) => run
                .other_way(position, &live.host, &progress)
                .or_else(|| run.too_much_unread(&live)),
            RunProgress::Waiting | RunProgress::Ended(_) => run.other_way(position, &live.host, &progress),
        };
        if let Some(problem) = problem {
            run.problem = Some(Failure::of(&problem));
            return;
        }
        if run.has_been_at(position) {
            run.live = Some(live);
            return;
        }
        self.record(now, |state| state.keep(place, live, progress, polled, now));
    }

    /// Records what the code did in one poll.
    fn keep(&mut self, place: usize, live: Live, progress: RunProgress, polled: Polled, now: Timestamp) {
        let run = &mut self.runs[place];
        let position = live.handed.unwrap_or_default();
        run.polled = Some(position);
        run.changes.extend(polled.changes);
        run.published = live.code.published();
        run.waiting = live.code.waiting();
        for (step, command) in polled.commands {
            self.begin_step(place, step, command, position, now);
        }
        for step in polled.given_up {
            self.give_up_step(place, step, now);
        }
        let end = match progress {
            RunProgress::Ended(Ok(value)) => WorkflowEnd::Completed(value),
            RunProgress::Ended(Err(Exit::Failed(failure))) => WorkflowEnd::Failed(failure),
            RunProgress::Ended(Err(Exit::Cancelled)) => WorkflowEnd::Cancelled,
            RunProgress::Ended(Err(Exit::ContinueAsNew(input))) => {
                let mut next = NewRun::of(self.runs[place].info.workflow_id.clone(), *input, now);
                let run = &self.runs[place];
                next.parent = run.parent;
                next.number = run.number.saturating_add(1);
                next.history = run.unread(&live);
                self.close(place, RunEnd::ContinuedAsNew, now);
                self.begin_run(next);
                return;
            }
            RunProgress::Waiting | RunProgress::Stuck(_) => {
                self.runs[place].live = (!self.faults.evict_always).then_some(live);
                return;
            }
        };
        self.close(place, RunEnd::As(end), now);
    }
}

impl Run {
    /// Whether an earlier life has run the code at this place of its history.
    fn has_been_at(&self, position: usize) -> bool {
        self.polled.is_some_and(|polled| position <= polled)
    }

    /// Whether the code, run again, left out a step it had begun, or ended where it had waited.
    fn other_way(&self, position: usize, host: &Host, progress: &RunProgress) -> Option<WorkflowProblem> {
        if !self.has_been_at(position) {
            return None;
        }
        if matches!(progress, RunProgress::Ended(_)) {
            let (step, record) = self.steps.last_key_value()?;
            return Some(WorkflowProblem::Nondeterministic {
                step: step.0,
                recorded: record.label.clone(),
                asked: "the end".into(),
            });
        }
        self.left_out(position, host)
    }

    /// Whether the code, run again up to this place, left out a step it had begun by then.
    pub(super) fn left_out(&self, position: usize, host: &Host) -> Option<WorkflowProblem> {
        let is_left_out = |step: StepNumber, record: &StepRecord| record.began_at <= position && !host.has_begun(step);
        let mut steps = self.steps.iter();
        let (step, record) = steps.find(|(step, record)| is_left_out(**step, record))?;
        Some(WorkflowProblem::Nondeterministic {
            step: step.0,
            recorded: record.label.clone(),
            asked: "nothing".into(),
        })
    }

    /// Whether more is unread than a new run can begin with.
    fn too_much_unread(&self, live: &Live) -> Option<WorkflowProblem> {
        let unread = self.unread(live);
        let sizes = unread.iter().filter_map(|event| match &event.what {
            What::Signal(_, payload) => Some(payload.to_string().len()),
            What::Answer(..) | What::Cancel => None,
        });
        WorkflowProblem::check_unread_signals(sizes).err()
    }

    /// What the next run of the workflow is handed first: signals that nobody took, and a cancellation that was not seen.
    fn unread(&self, live: &Live) -> Vec<Event> {
        let unseen = self.history.get(live.handed.unwrap_or_default()..).unwrap_or_default();
        let at = live
            .handed
            .and_then(|handed| self.history.get(handed.checked_sub(1)?))
            .map(|event| event.at);
        let at = at.unwrap_or(self.info.started_at);
        let untaken = live.host.unread().into_iter().map(|(name, payload)| Event {
            at,
            what: What::Signal(name, payload),
        });
        let unseen = unseen
            .iter()
            .filter(|event| !matches!(event.what, What::Answer(..)))
            .cloned();
        untaken.chain(unseen).collect()
    }
}

pub(super) fn begin(run: &Run, registry: &WorkflowRegistry) -> Result<Live, WorkflowProblem> {
    let recorded: BTreeMap<_, _> = run
        .steps
        .iter()
        .map(|(step, record)| (*step, record.label.clone()))
        .collect();
    let host = Host::new(run.info.started_at, recorded, run.changes.clone());
    let code = WorkflowRun::new(registry, run.info.clone(), Arc::new(HostPort(Arc::clone(&host))))?;
    Ok(Live {
        code,
        host,
        handed: None,
    })
}

pub(super) fn hand(live: &Live, Event { at, what }: Event) {
    match what {
        What::Answer(step, answer) => live.host.answer(at, step, answer),
        What::Signal(name, payload) => live.host.signal(at, name, payload),
        What::Cancel => {
            live.host.time_is(at);
            live.code.cancel();
        }
    }
}
