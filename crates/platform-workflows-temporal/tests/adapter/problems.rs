//! Mistakes in code and in what it is given: each is a named state, and soon.

use aftercommit_domain::workflows::{WorkflowEnd, WorkflowFailure, WorkflowQuerier, WorkflowStarter};

use crate::environment::{Environment, id_of, stop_request};
use crate::workflows::{Counting, GoOn, Script, Scripted, ScriptedWorkflow};

async fn stuck_with(script: Script) -> String {
    let environment = Environment::shared().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry).await;
    let (id, _) = environment.start("it", &Scripted::new(script)).await;
    let code = environment.problem(&id).await;
    assert!(environment.describe(&id).await.end.is_none());
    environment.temporal.terminate(stop_request(&id)).await.unwrap();
    worker.stop().await;
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn awaiting_what_is_no_step_is_shown_as_such() {
    assert_eq!(stuck_with(Script::AwaitForeign).await, "workflow.foreign_await");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_shown_as_such() {
    assert_eq!(stuck_with(Script::Panic).await, "workflow.panicked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_no_worker_knows_is_shown_as_such_and_goes_on_with_one_that_does() {
    let environment = Environment::shared().await;
    let other = environment.registry().with_activity(Counting::default()).unwrap();
    let other = other.with_workflow(other::OtherWorkflow).unwrap();
    let worker = environment.worker(other).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::Count)).await;
    assert_eq!(environment.problem(&id).await, "workflow.unknown");
    worker.stop().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let registry = registry.with_activity(Counting::default()).unwrap();
    let worker = environment.worker(registry).await;
    let ended = environment.ended(&id).await;
    assert_eq!(ended.end, Some(WorkflowEnd::Completed(1.into())));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_cannot_be_read_is_shown_as_such() {
    let environment = Environment::shared().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment.worker(registry).await;
    for (key, input) in [("none", None), ("wrong", Some("{\"a\":1}"))] {
        let id = id_of(&Scripted::new(Script::Count), &format!("{}/{key}", environment.queue));
        let text = id.to_string();
        let mut arguments = vec!["workflow", "start", "--type", "scripted", "--workflow-id", &text];
        arguments.extend(["--task-queue", &environment.queue]);
        arguments.extend(input.into_iter().flat_map(|input| ["--input", input]));
        environment.server.cli(&arguments).await;
        assert_eq!(environment.problem(&id).await, "workflow.unreadable", "{key}");
        environment.temporal.terminate(stop_request(&id)).await.unwrap();
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activity_that_no_worker_knows_fails_its_step_when_its_attempts_are_over() {
    let environment = Environment::shared().await;
    let registry = environment
        .registry()
        .with_workflow(ScriptedWorkflow::default())
        .unwrap();
    let worker = environment
        .worker(registry.with_activity(Counting::default()).unwrap())
        .await;
    let (id, _) = environment.start("it", &Scripted::new(Script::CallTheUnknown)).await;
    match environment.ended(&id).await.end {
        Some(WorkflowEnd::Failed(failure)) => assert_eq!(failure.kind, WorkflowFailure::UNKNOWN_ACTIVITY),
        other => panic!("{other:?}"),
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_changed_under_a_run_is_shown_as_such_and_the_old_code_goes_on() {
    let environment = Environment::shared().await;
    let counting = Counting::default();
    let registry = |is_changed| {
        let registry = environment
            .registry()
            .with_workflow(ScriptedWorkflow {
                is_changed,
                ..ScriptedWorkflow::default()
            })
            .unwrap();
        registry.with_activity(counting.clone()).unwrap()
    };
    let worker = environment.worker(registry(false)).await;
    let (id, _) = environment.start("it", &Scripted::new(Script::CountWhenTold)).await;
    let waits = |label: &'static str| {
        move |description: &aftercommit_domain::workflows::WorkflowDescription| {
            description.waiting.iter().any(|step| step.label == label)
        }
    };
    environment.described(&id, waits("signal go-on")).await;
    worker.stop().await;

    let worker = environment.worker(registry(true)).await;
    environment.signal(&id, &GoOn).await;
    assert_eq!(environment.problem(&id).await, "workflow.nondeterministic");
    worker.stop().await;

    let worker = environment.worker(registry(false)).await;
    assert_eq!(environment.ended(&id).await.end, Some(WorkflowEnd::Completed(3.into())));
    assert!(environment.temporal.query(&id, "nothing").await.unwrap().is_none());
    worker.stop().await;
}

mod other {
    use aftercommit_domain::contract::{OrganizationId, ProjectId};
    use aftercommit_domain::workflows::{Exit, Workflow, WorkflowContext, WorkflowInput};
    use async_trait::async_trait;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, WorkflowInput)]
    #[workflow(name = "other", version = 1)]
    pub(super) struct Other {
        organization_id: OrganizationId,
        project_id: ProjectId,
    }

    pub(super) struct OtherWorkflow;

    #[async_trait]
    impl Workflow for OtherWorkflow {
        type Input = Other;
        type Output = ();

        async fn run(&self, _: &WorkflowContext, _: Other) -> Result<(), Exit> {
            Ok(())
        }
    }
}
