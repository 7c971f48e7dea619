//! `billing`/`report-overage` where there is an engine: starts the workflow that reports what a project used beyond what is
//! included.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::billing::ReportOverage;
use aftercommit_domain::reference::workflows::start_overage_report;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case, which decides what is reported and asks for its workflow with one transaction. A report that the
/// task of a process without an engine has left pending is taken up as it is.
pub(crate) struct StartOverageReportHandler {
    reference: ReferencePorts,
}

impl StartOverageReportHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<ReportOverage> for StartOverageReportHandler {
    async fn handle(&self, task: ReportOverage, ctx: &TaskContext) -> TaskResult {
        Ok(start_overage_report(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::Progress;
    use aftercommit_domain::reference::billing::use_cases::decide_overage_report;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::scene::{Scene, skipped_because, use_records};

    #[tokio::test]
    async fn a_report_that_a_task_has_left_pending_is_the_one_whose_workflow_is_started() {
        let scene = Scene::new().await;
        let handler = StartOverageReportHandler::new(scene.harness.ports.clone());
        let task = use_records(&scene, 10_000).await;
        let nothing = skipped_because("nothing beyond what is included or was reported");
        assert_eq!(scene.context().run(&handler, &task).await, nothing);
        use_records(&scene, 7).await;
        let left = decide_overage_report(&scene.harness.ports, &Cause::root(), &task).await;
        let Progress::Done(left) = left.unwrap() else {
            panic!("it is to be reported");
        };
        use_records(&scene, 5).await;
        scene.harness.take_tasks().await;
        for _ in 0..2 {
            assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
            let id = format!(
                "{}/{}/billing-overage/{}",
                task.organization_id, task.project_id, left.id
            );
            assert_eq!(scene.started_workflows().await, [id], "one report is one workflow");
        }
    }
}
