//! What every workflow must stand: a crash, a repetition, a failure and a cancellation wherever one can be.

use std::fmt::Debug;

use aftercommit_domain::workflows::{SignalRequest, StartRequest, WorkflowEnd, WorkflowId, WorkflowRegistry};

use super::{InMemoryWorkflows, WorkflowFaults};
use crate::fakes::{TestServices, test_services};

/// A workflow with a world of its own, made anew for each run.
pub struct WorkflowTrial<E> {
    /// What the worker runs. Its activities change the world of this trial only.
    pub registry: WorkflowRegistry,
    /// What starts it.
    pub start: StartRequest,
    /// What it is told right after its start.
    pub signals: Vec<SignalRequest>,
    /// What its activities have left in the world. What came twice under one idempotency key is there once, as outside.
    pub effects: Box<dyn Fn() -> E + Send + Sync>,
    /// Whether the world may be left so by a workflow that was cancelled on its way and ended so.
    pub may_be_cancelled_so: JudgeCancelled<E>,
}

/// Judges how a cancelled workflow ended, and what it left.
pub type JudgeCancelled<E> = Box<dyn Fn(&WorkflowEnd, &E) -> bool + Send + Sync>;

/// How much was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrialReport {
    /// At how many places something is recorded: at each, a crash before, a crash after, and a cancellation.
    pub places: u64,
    /// How many attempts of activities there are: each failed once.
    pub attempts: u64,
    /// How often the workflow was run.
    pub runs: u64,
}

/// Runs a workflow once in peace, and then once with each thing that can go wrong at each place: it must end the same way and
/// leave the same in the world.
///
/// The process dies before and after everything that is recorded; every attempt of an activity is run twice; each attempt
/// fails once; the code is run again from its beginning for everything it is handed; the workflow is cancelled after everything that is recorded; and in the end its history is replayed.
///
/// # Panics
/// When the workflow does not stand one of these, with what went wrong.
pub async fn try_workflow<E: PartialEq + Debug>(make: impl Fn(&TestServices) -> WorkflowTrial<E>) -> TrialReport {
    let peace = run(&make, WorkflowFaults::default()).await;
    let mut runs = 1;
    let mut faults = vec![
        WorkflowFaults {
            run_attempts_twice: true,
            ..WorkflowFaults::default()
        },
        WorkflowFaults {
            evict_always: true,
            ..WorkflowFaults::default()
        },
    ];
    for place in 1..=peace.places {
        faults.push(WorkflowFaults {
            crash_before: Some(place),
            ..WorkflowFaults::default()
        });
        faults.push(WorkflowFaults {
            crash_after: Some(place),
            ..WorkflowFaults::default()
        });
    }
    faults.extend((1..=peace.attempts).map(|attempt| WorkflowFaults {
        fail_attempt: Some(attempt),
        ..WorkflowFaults::default()
    }));
    for fault in faults {
        let ended = run(&make, fault.clone()).await;
        assert_eq!(ended.end, peace.end, "how it ended, with {fault:?}");
        assert_eq!(
            ended.effects, peace.effects,
            "what it left in the world, with {fault:?}"
        );
        runs += 1;
    }
    for place in 1..=peace.places {
        let fault = WorkflowFaults {
            cancel_after: Some(place),
            ..WorkflowFaults::default()
        };
        let ended = run(&make, fault).await;
        let is_as_in_peace = ended.end == peace.end && ended.effects == peace.effects;
        assert!(
            is_as_in_peace || (ended.may_be_cancelled_so)(&ended.end, &ended.effects),
            "cancelled after {place}, it ended as {:?} and left {:?}",
            ended.end,
            ended.effects
        );
        runs += 1;
    }
    TrialReport {
        places: peace.places,
        attempts: peace.attempts,
        runs,
    }
}

struct Ended<E> {
    end: WorkflowEnd,
    effects: E,
    places: u64,
    attempts: u64,
    may_be_cancelled_so: JudgeCancelled<E>,
}

async fn run<E>(make: &impl Fn(&TestServices) -> WorkflowTrial<E>, faults: WorkflowFaults) -> Ended<E> {
    use aftercommit_domain::workflows::WorkflowStarter;

    let services = test_services();
    let WorkflowTrial {
        registry,
        start,
        signals,
        effects,
        may_be_cancelled_so,
    } = make(&services);
    let engine = InMemoryWorkflows::new(registry.clone(), &services);
    engine.set_faults(faults.clone());
    let id = start.id.clone();
    if let Err(error) = engine.start(start).await {
        panic!("{error}");
    }
    for signal in signals {
        if let Err(error) = engine.signal(signal).await {
            panic!("{error}");
        }
    }
    let end = end_of(&engine, &id, &faults).await;
    if let Some(Err(problem)) = engine.history(&id).map(|history| history.replay(&registry)) {
        panic!("its history cannot be replayed, with {faults:?}: {problem}");
    }
    Ended {
        end,
        effects: effects(),
        places: engine.recorded(),
        attempts: engine.attempts(),
        may_be_cancelled_so,
    }
}

async fn end_of(engine: &InMemoryWorkflows, id: &WorkflowId, faults: &WorkflowFaults) -> WorkflowEnd {
    let description = engine.run_to_end(id).await;
    let Some(description) = description else {
        panic!("there is no workflow {id}")
    };
    match description.end {
        Some(end) => end,
        None => panic!("it does not end, with {faults:?}: {description:?}"),
    }
}
