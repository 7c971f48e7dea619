//! Every way in which runs and attempts end is counted under its own word.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{ActivityName, OrganizationId, Payload, ProjectId};
use aftercommit_domain::tasks::RetryPolicy;
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Exit, Workflow, WorkflowContext, WorkflowFailure,
    WorkflowInput, WorkflowStarter,
};
use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::environment::{Environment, SOON, organization, project, stop_request};

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_and_of_an_attempt_is_counted_under_its_word() {
    // The other tests of this program have other names of workflows and activities.
    let figures = PrometheusBuilder::new().install_recorder().unwrap();
    let environment = Environment::shared().await;
    let has_begun = Arc::new(Notify::new());
    let step = MeasuredStep {
        has_begun: Arc::clone(&has_begun),
    };
    let registry = environment.registry().with_workflow(MeasuredWorkflow).unwrap();
    let worker = environment.worker(registry.with_activity(step).unwrap()).await;

    for course in [Course::FailOnceAndComplete, Course::Fail, Course::GoOnAsNew] {
        let (id, _) = environment.start(&format!("{course:?}"), &Measured::new(course)).await;
        environment.ended(&id).await;
    }
    let (id, _) = environment
        .start("cancelled", &Measured::new(Course::WaitForTheEnd))
        .await;
    timeout(SOON, has_begun.notified()).await.unwrap();
    environment.temporal.cancel(stop_request(&id)).await.unwrap();
    environment.ended(&id).await;
    // The run ends before its activity hears of it. A worker that stops first counts it as one to be tried again.
    let cancelled = || has(&figures.render(), "aftercommit_activities_total", &of_step("cancelled"));
    timeout(SOON, async {
        while !cancelled() {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let (id, _) = environment.start("stuck", &Measured::new(Course::Panic)).await;
    environment.problem(&id).await;
    environment.temporal.terminate(stop_request(&id)).await.unwrap();
    worker.stop().await;

    let text = figures.render();
    for outcome in ["completed", "failed", "cancelled", "continued", "stuck"] {
        let labels = format!("workflow=\"measured\",outcome=\"{outcome}\"");
        assert!(
            has(&text, "aftercommit_workflow_runs_total", &labels),
            "{outcome}: {text}"
        );
    }
    for outcome in ["completed", "cancelled", "retryable", "permanent"] {
        assert!(
            has(&text, "aftercommit_activities_total", &of_step(outcome)),
            "{outcome}: {text}"
        );
    }
}

/// Whether this was counted at least once.
fn has(text: &str, name: &str, labels: &str) -> bool {
    let begins = format!("{name}{{{labels}}} ");
    text.lines()
        .any(|line| line.strip_prefix(&begins).is_some_and(|count| count != "0"))
}

fn of_step(outcome: &str) -> String {
    format!("activity=\"measured-step\",outcome=\"{outcome}\"")
}

#[derive(Debug, Clone, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "measured", version = 1)]
struct Measured {
    organization_id: OrganizationId,
    project_id: ProjectId,
    course: Course,
}

impl Measured {
    fn new(course: Course) -> Self {
        Self {
            organization_id: organization(),
            project_id: project(),
            course,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Payload)]
enum Course {
    FailOnceAndComplete,
    Fail,
    GoOnAsNew,
    WaitForTheEnd,
    Panic,
}

struct MeasuredWorkflow;

#[async_trait]
impl Workflow for MeasuredWorkflow {
    type Input = Measured;
    type Output = ();

    async fn run(&self, ctx: &WorkflowContext, input: Measured) -> Result<(), Exit> {
        match input.course {
            Course::Panic => panic!("on purpose"),
            Course::GoOnAsNew => Err(ctx.continue_as_new(&Measured::new(Course::FailOnceAndComplete))),
            course => {
                let options = ActivityOptions {
                    retry: RetryPolicy {
                        base: Duration::from_millis(10),
                        ..RetryPolicy::default()
                    },
                    ..ActivityOptions::default()
                };
                Ok(ctx.activity::<MeasuredStep>(&course, options).await?)
            }
        }
    }
}

struct MeasuredStep {
    /// Told when one begins that ends only when it is cancelled.
    has_begun: Arc<Notify>,
}

#[async_trait]
impl Activity for MeasuredStep {
    const NAME: ActivityName = ActivityName::constant("measured-step");
    type Input = Course;
    type Output = ();

    async fn run(&self, course: Course, ctx: &ActivityContext) -> Result<(), ActivityError> {
        match course {
            Course::Fail => Err(WorkflowFailure::permanent("measured.no", "on purpose").into()),
            Course::WaitForTheEnd => {
                self.has_begun.notify_one();
                ctx.cancellation().cancelled().await;
                Err(ActivityError::Cancelled)
            }
            _ if ctx.attempt() == 1 => Err(WorkflowFailure::retryable("measured.not_yet", "on purpose").into()),
            _ => Ok(()),
        }
    }
}
