//! What a transaction asks of the workflow engine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, SignalName, Tenant, WorkflowKey};
use aftercommit_domain::events::{EventCatalogue, OutboxWriter, Routes};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{Task, TaskContext, TaskInspector, TaskState, completed};
use aftercommit_domain::unit_of_work::{UnitOfWork, UnitOfWorkFactory};
use aftercommit_domain::workflows::{WorkflowId, WorkflowInput, WorkflowOutboxExt, WorkflowSignal};
use aftercommit_runtime::worker::Topic;
use aftercommit_runtime::{Engine, EngineOptions, RunningEngine, workflow_requests_topic};
use aftercommit_testkit::faults::{Fault, Operation};
use serde::{Deserialize, Serialize};

use crate::support::handlers::Handler;
use crate::support::rig::{Rig, workers};
use crate::support::workflow_engine::{Trouble, WorkflowEngine};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "trace-parcel", version = 1)]
struct TraceParcel {
    organization_id: OrganizationId,
    project_id: ProjectId,
    parcel_id: i64,
}

#[derive(Serialize, Deserialize)]
struct Seen;

impl WorkflowSignal for Seen {
    const NAME: SignalName = SignalName::constant("seen");
}

#[derive(Serialize, Deserialize)]
struct Held;

impl WorkflowSignal for Held {
    const NAME: SignalName = SignalName::constant("held");
}

fn trace_parcel() -> TraceParcel {
    TraceParcel {
        organization_id: 1.into(),
        project_id: 10.into(),
        parcel_id: 7,
    }
}

fn id() -> WorkflowId {
    WorkflowId::new(tenant(), TraceParcel::NAME, WorkflowKey::constant("7"))
}

fn tenant() -> Tenant {
    Tenant::project(1_i64, 10_i64)
}

/// The runtime with its relay, and a workflow engine beside it.
struct Scene {
    rig: Rig,
    workflows: WorkflowEngine,
}

impl Scene {
    fn new() -> Self {
        Self {
            rig: Rig::new(),
            workflows: WorkflowEngine::default(),
        }
    }

    fn start(&self, options: EngineOptions) -> RunningEngine {
        let units: Arc<dyn UnitOfWorkFactory> = Arc::new(self.rig.store.inner().clone());
        let topic = workflow_requests_topic(Arc::new(self.workflows.clone()), units);
        self.rig.start(options, vec![topic])
    }

    async fn begin(&self) -> Box<dyn UnitOfWork> {
        self.rig.store.inner().begin(&tenant(), &Cause::root()).await.unwrap()
    }

    /// Commits what `write` writes. Answers the id of its request.
    async fn commit(&self, write: impl AsyncFnOnce(&mut dyn OutboxWriter) -> MessageId) -> MessageId {
        let mut unit_of_work = self.begin().await;
        let id = write(&mut *unit_of_work.outbox()).await;
        unit_of_work.commit().await.unwrap();
        id
    }

    async fn commit_start(&self) -> MessageId {
        self.commit(async |outbox| outbox.start(7, &trace_parcel()).await.unwrap())
            .await
    }

    /// What became of a signal that went on as another task each time it was early. Answers the last one too.
    async fn until_given_up_or_told(&self, mut signal: MessageId) -> (MessageId, TaskState) {
        for _ in 0..100 {
            let state = self.until_over(signal).await;
            let reason = self.rig.details(signal).await.summary.reason.unwrap_or_default();
            if state != TaskState::Skipped || !reason.contains("it is told by") {
                return (signal, state);
            }
            signal = signal.derive("early");
        }
        panic!("it is neither told nor given up");
    }

    /// The workflow ran and has closed, where `was_over` says so.
    async fn with_past(self, was_over: bool) -> Self {
        if was_over {
            let start = self.commit_start().await;
            self.rig.until_state(start, TaskState::Completed).await;
            self.workflows.close();
        }
        self
    }

    /// What became of a request.
    async fn until_over(&self, id: MessageId) -> TaskState {
        let state = Mutex::new(None);
        self.rig
            .until("the request is over", async || {
                let found = TaskInspector::find(self.rig.store.inner(), id).await.unwrap();
                let over = found
                    .map(|details| details.summary.state)
                    .filter(|state| matches!(state, TaskState::Completed | TaskState::Skipped | TaskState::Dead));
                *state.lock().unwrap() = over;
                over.is_some()
            })
            .await;
        state.into_inner().unwrap().unwrap()
    }

    async fn commit_signal(&self) -> MessageId {
        self.commit(async |outbox| outbox.signal(&id(), &Seen).await.unwrap())
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_rolled_back_starts_nothing_and_one_that_commits_starts_it_once() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    let mut rolled_back = scene.begin().await;
    rolled_back.outbox().start(6, &trace_parcel()).await.unwrap();
    drop(rolled_back);
    let request = scene.commit_start().await;
    scene.rig.until_state(request, TaskState::Completed).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(scene.workflows.did(), ["started 1/10/trace-parcel/7"]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_answer_was_lost_or_whose_task_comes_again_starts_nothing_new() {
    let scene = Scene::new();
    scene.workflows.script([Trouble::Lost, Trouble::Lost]);
    scene.rig.store.script(Operation::Ack, [Fault::Fail, Fault::Fail]);
    let engine = scene.start(EngineOptions::default());
    let request = scene.commit_start().await;
    scene.rig.until_state(request, TaskState::Completed).await;
    assert_eq!(scene.workflows.did(), ["started 1/10/trace-parcel/7"]);
    assert_eq!(
        scene.workflows.calls(),
        3,
        "the inbox knows it when its task comes again"
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_that_comes_again_after_its_workflow_has_closed_starts_nothing_new() {
    let scene = Scene::new();
    // The workflow closes, and its engine forgets it, before the task is settled.
    let never_settled = [Fault::Fail; 3];
    scene.rig.store.script(Operation::Ack, never_settled);
    let engine = scene.start(EngineOptions::default());
    let request = scene.commit_start().await;
    scene
        .rig
        .until("it was started", async || !scene.workflows.did().is_empty())
        .await;
    scene.workflows.forget();
    scene.rig.until_state(request, TaskState::Completed).await;
    assert_eq!(scene.workflows.did().len(), 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_engine_is_away_requests_wait_longer_each_time_and_no_attempt_is_counted() {
    let scene = Scene::new();
    scene.workflows.script([Trouble::Away; 40]);
    let engine = scene.start(EngineOptions::default());
    let began = scene.rig.now();
    let request = scene.commit_start().await;
    scene.rig.until_state(request, TaskState::Completed).await;
    assert_eq!(scene.workflows.calls(), 41);
    assert_eq!(scene.rig.details(request).await.summary.attempts, 1);
    let waited = (scene.rig.now() - began).to_std().unwrap();
    assert!(
        waited > Duration::from_mins(30),
        "it is asked once a minute: {waited:?}"
    );
    assert_eq!(scene.workflows.did(), ["started 1/10/trace-parcel/7"]);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_never_answers_is_away() {
    let scene = Scene::new();
    scene.workflows.script([Trouble::Hangs; 30]);
    let engine = scene.start(EngineOptions::default());
    let request = scene.commit_start().await;
    scene.rig.until_state(request, TaskState::Completed).await;
    assert_eq!(scene.rig.details(request).await.summary.attempts, 1);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_answers_with_an_error_of_its_own_costs_attempts_and_then_a_person_is_told_its_words() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    scene.workflows.script([Trouble::Fails; 2]);
    let mended = scene.commit_start().await;
    scene.rig.until_state(mended, TaskState::Completed).await;
    assert_eq!(scene.rig.details(mended).await.summary.attempts, 3);
    scene.workflows.forget();
    scene.workflows.script([Trouble::Fails; 100]);
    let lost = scene.commit_start().await;
    scene.rig.until_state(lost, TaskState::Dead).await;
    let failure = scene.rig.dead_letter(lost).await.failure;
    assert_eq!(failure.code, "workflow.engine_failed");
    assert!(failure.message.contains("shard 7 is lost"), "{}", failure.message);
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_start_comes_before_its_signals_also_when_it_has_to_wait() {
    let scene = Scene::new();
    scene.workflows.script([Trouble::Away, Trouble::Away]);
    let engine = scene.start(EngineOptions::default());
    let mut unit_of_work = scene.begin().await;
    unit_of_work.outbox().start(7, &trace_parcel()).await.unwrap();
    let last = unit_of_work.outbox().signal(&id(), &Seen).await.unwrap();
    unit_of_work.commit().await.unwrap();
    scene.rig.until_state(last, TaskState::Completed).await;
    assert_eq!(
        scene.workflows.did(),
        ["started 1/10/trace-parcel/7", "told 1/10/trace-parcel/7 seen"]
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_with_start_starts_what_does_not_run_and_tells_what_does() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    for _ in 0..2 {
        let request = scene
            .commit(async |outbox| outbox.signal_with_start(7, &trace_parcel(), &Seen).await.unwrap())
            .await;
        scene.rig.until_state(request, TaskState::Completed).await;
    }
    assert_eq!(
        scene.workflows.did(),
        [
            "started 1/10/trace-parcel/7",
            "told 1/10/trace-parcel/7 seen",
            "told 1/10/trace-parcel/7 seen"
        ]
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_refuses_for_good_ends_at_once_and_says_why() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    let first = scene.commit_start().await;
    scene.rig.until_state(first, TaskState::Completed).await;
    let second = scene.commit_start().await;
    scene.rig.until_state(second, TaskState::Skipped).await;
    scene.workflows.script([Trouble::Unknown]);
    let unknown = scene.commit_start().await;
    scene.rig.until_state(unknown, TaskState::Dead).await;
    assert_eq!(scene.rig.dead_letter(unknown).await.failure.code, "workflow.unknown");
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn signals_that_overtake_the_start_of_their_workflow_wait_for_it_in_their_order() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    let seen = scene.commit_signal().await;
    scene
        .commit(async |outbox| outbox.signal(&id(), &Held).await.unwrap())
        .await;
    assert_eq!(scene.until_over(seen).await, TaskState::Skipped);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert!(scene.workflows.did().is_empty());
    let start = scene.commit_start().await;
    assert_eq!(scene.until_over(start).await, TaskState::Completed);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(
        scene.workflows.did(),
        [
            "started 1/10/trace-parcel/7",
            "told 1/10/trace-parcel/7 seen",
            "told 1/10/trace-parcel/7 held"
        ]
    );
    engine.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_signal_to_a_workflow_that_nobody_starts_is_a_dead_letter_within_minutes() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    let began = scene.rig.now();
    let mut last = scene.commit_signal().await;
    while scene.until_over(last).await == TaskState::Skipped {
        last = last.derive("early");
    }
    assert_eq!(scene.rig.dead_letter(last).await.failure.code, "workflow.not_running");
    let waited = (scene.rig.now() - began).to_std().unwrap();
    assert!(
        waited > Duration::from_mins(5) && waited < Duration::from_mins(6),
        "{waited:?}"
    );
    engine.stop().await;
}

/// What is early, and how: the workflow never ran or is over, and the signal was refused before the engine went or was not.
const EARLY: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

#[tokio::test(start_paused = true)]
async fn a_signal_that_overtakes_its_start_is_not_given_up_because_the_engine_was_away_for_longer_than_it_waits() {
    for (was_over, was_refused) in EARLY {
        let scene = Scene::new();
        let engine = scene.start(EngineOptions::default());
        let scene = scene.with_past(was_over).await;
        let did_before = scene.workflows.did().len();
        scene.workflows.set_away(!was_refused);
        let signal = scene.commit_signal().await;
        if was_refused {
            assert_eq!(scene.until_over(signal).await, TaskState::Skipped);
            scene.workflows.set_away(true);
        }
        tokio::time::sleep(Duration::from_mins(6)).await;
        scene.commit_start().await;
        tokio::time::sleep(Duration::from_mins(30)).await;
        scene.workflows.set_away(false);
        let (_, state) = scene.until_given_up_or_told(signal).await;
        assert_eq!(state, TaskState::Completed, "{was_over} {was_refused}");
        assert_eq!(
            scene.workflows.did()[did_before..],
            ["started 1/10/trace-parcel/7", "told 1/10/trace-parcel/7 seen"]
        );
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_nobody_starts_a_workflow_for_is_given_up_within_minutes_of_the_engines_return() {
    for (was_over, was_refused) in EARLY {
        let scene = Scene::new();
        let engine = scene.start(EngineOptions::default());
        let scene = scene.with_past(was_over).await;
        scene.workflows.set_away(!was_refused);
        let signal = scene.commit_signal().await;
        if was_refused {
            assert_eq!(scene.until_over(signal).await, TaskState::Skipped);
            scene.workflows.set_away(true);
        }
        tokio::time::sleep(Duration::from_mins(30)).await;
        scene.workflows.set_away(false);
        let back = scene.rig.now();
        let (last, state) = scene.until_given_up_or_told(signal).await;
        let waited = (scene.rig.now() - back).to_std().unwrap();
        let patience = Duration::from_mins(5)..Duration::from_mins(7);
        assert!(patience.contains(&waited), "{was_over} {was_refused}: {waited:?}");
        if was_over {
            let reason = scene.rig.details(last).await.summary.reason.unwrap_or_default();
            assert!(reason.contains("(workflow.over)"), "{reason}");
        } else {
            assert_eq!(state, TaskState::Dead);
        }
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_asked_for_within_five_minutes_of_its_signal_is_waited_for_to_the_last_second() {
    for behind in [1, 285, 290, 295, 299] {
        let scene = Scene::new();
        let engine = scene.start(EngineOptions::default());
        let signal = scene.commit_signal().await;
        tokio::time::sleep(Duration::from_secs(behind)).await;
        scene.commit_start().await;
        let (_, state) = scene.until_given_up_or_told(signal).await;
        assert_eq!(state, TaskState::Completed, "{behind} s behind");
        engine.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_to_a_workflow_that_is_over_ends_as_skipped_and_says_so_unless_it_is_started_again() {
    let scene = Scene::new();
    let engine = scene.start(EngineOptions::default());
    let start = scene.commit_start().await;
    scene.rig.until_state(start, TaskState::Completed).await;
    scene.workflows.close();
    let early = scene.commit_signal().await;
    assert_eq!(scene.until_over(early).await, TaskState::Skipped);
    let again = scene.commit_start().await;
    assert_eq!(scene.until_over(again).await, TaskState::Completed);
    tokio::time::sleep(Duration::from_mins(10)).await;
    let started = "started 1/10/trace-parcel/7";
    assert_eq!(
        scene.workflows.did(),
        [started, started, "told 1/10/trace-parcel/7 seen"]
    );
    scene.workflows.close();
    let mut last = scene.commit_signal().await;
    let reason = loop {
        assert_eq!(scene.until_over(last).await, TaskState::Skipped, "no dead letter");
        let reason = scene.rig.details(last).await.summary.reason.unwrap_or_default();
        if reason.contains("(workflow.over)") {
            break reason;
        }
        last = last.derive("early");
    };
    assert!(reason.contains("run-2"), "it names the run: {reason}");
    assert_eq!(scene.workflows.did().len(), 3);
    engine.stop().await;
}

#[test]
fn operators_see_the_topic_of_requests_to_workflows_like_any_other() {
    let scene = Scene::new();
    let units: Arc<dyn UnitOfWorkFactory> = Arc::new(scene.rig.store.inner().clone());
    let topics = vec![workflow_requests_topic(Arc::new(scene.workflows.clone()), units)];
    let engine = Engine::new(
        scene.rig.ports(),
        workers(),
        &EventCatalogue::new(),
        Routes::new(),
        topics,
    )
    .unwrap();
    let tasks: Vec<_> = engine
        .task_descriptors()
        .into_iter()
        .map(|known| known.task.to_string())
        .collect();
    assert_eq!(tasks, ["signal", "signal-with-start", "start"]);
}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "workflow-requests", name = "start", version = 1)]
struct OfSomebodyElse {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[test]
fn nobody_else_may_own_the_topic_of_requests_to_workflows() {
    let rig = Rig::new();
    let handler = Handler(|_: OfSomebodyElse, _: TaskContext| async { completed() });
    let topics = vec![Topic::named("workflow-requests").handle::<OfSomebodyElse>(handler)];
    let refused = Engine::new(rig.ports(), workers(), &EventCatalogue::new(), Routes::new(), topics).err();
    let problems = refused.unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("is for requests to workflows")),
        "{problems:?}"
    );
}
