//! How a workflow is changed while runs of the release before are still open.

use std::sync::{Arc, Mutex};

use aftercommit_domain::contract::{ActivityName, Cause, OrganizationId, ProjectId};
use aftercommit_domain::failure::Classified as _;
use aftercommit_domain::time::days;
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Exit, StartRequest, Workflow, WorkflowContext,
    WorkflowInput, WorkflowRegistry, WorkflowStarter,
};
use aftercommit_testkit::{InMemoryWorkflows, TestServices, WorkflowHistory, test_services};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "end-trial", version = 1)]
struct EndTrial {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

/// What was done, in order.
#[derive(Clone, Default)]
struct Done(Arc<Mutex<Vec<String>>>);

struct Do(Done);

#[async_trait]
impl Activity for Do {
    const NAME: ActivityName = ActivityName::constant("do");
    type Input = String;
    type Output = ();

    async fn run(&self, what: String, _: &ActivityContext) -> Result<(), ActivityError> {
        self.0.0.lock().unwrap().push(what);
        Ok(())
    }
}

async fn done(ctx: &WorkflowContext, what: &str) -> Result<(), Exit> {
    Ok(ctx.activity::<Do>(&what.to_owned(), ActivityOptions::default()).await?)
}

/// As it was released first.
struct FirstRelease;

#[async_trait]
impl Workflow for FirstRelease {
    type Input = EndTrial;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, _: EndTrial) -> Result<(), Exit> {
        ctx.sleep(days(14)).await?;
        done(ctx, "close").await
    }
}

/// As it is by now: it reminds before it closes.
struct Patched;

#[async_trait]
impl Workflow for Patched {
    type Input = EndTrial;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, _: EndTrial) -> Result<(), Exit> {
        ctx.sleep(days(14)).await?;
        // Added in March; to be removed when the runs of February have ended.
        if ctx.patched("remind-before-closing") {
            done(ctx, "remind").await?;
            ctx.sleep(days(3)).await?;
        }
        done(ctx, "close").await
    }
}

/// The same change by somebody who forgot the runs that are open.
struct Forgotten;

#[async_trait]
impl Workflow for Forgotten {
    type Input = EndTrial;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, _: EndTrial) -> Result<(), Exit> {
        ctx.sleep(days(14)).await?;
        done(ctx, "remind").await?;
        ctx.sleep(days(3)).await?;
        done(ctx, "close").await
    }
}

fn build<W: Workflow>(workflow: W, services: &TestServices, done: &Done) -> WorkflowRegistry {
    let registry = WorkflowRegistry::new(services.codec.clone());
    let registry = registry.with_workflow(workflow).unwrap();
    registry.with_activity(Do(done.clone())).unwrap()
}

async fn run<W: Workflow>(workflow: W) -> (Vec<String>, WorkflowHistory) {
    let (services, done) = (test_services(), Done::default());
    let engine = InMemoryWorkflows::new(build(workflow, &services, &done), &services);
    let input = EndTrial {
        organization_id: 7.into(),
        project_id: 8.into(),
    };
    let id = services.envelopes.new_id();
    let start = StartRequest::new(&services.envelopes, id, 9, &input, &Cause::root()).unwrap();
    let workflow = start.id.clone();
    engine.start(start).await.unwrap();
    engine.run_to_end(&workflow).await.unwrap();
    let done = done.0.lock().unwrap().clone();
    (done, engine.history(&workflow).unwrap())
}

#[tokio::test]
async fn a_run_of_the_release_before_takes_the_old_way_and_a_new_one_the_new_way() {
    let (services, done) = (test_services(), Done::default());
    let (old, history) = run(FirstRelease).await;
    assert_eq!(old, ["close"]);
    assert_eq!(history.replay(&build(Patched, &services, &done)), Ok(()));
    let (new, _) = run(Patched).await;
    assert_eq!(new, ["remind", "close"]);
}

#[tokio::test]
async fn a_change_that_forgets_the_open_runs_is_found_by_their_history() {
    let (services, done) = (test_services(), Done::default());
    let (_, history) = run(FirstRelease).await;
    let problem = history.replay(&build(Forgotten, &services, &done)).unwrap_err();
    assert_eq!(problem.code(), "workflow.nondeterministic");
}
