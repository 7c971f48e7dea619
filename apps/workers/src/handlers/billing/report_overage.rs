//! `billing`/`report-overage`: reports what a project used beyond what is included.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::reference::billing::use_cases::{decide_overage_report, record_overage_report};
use aftercommit_domain::reference::billing::{BillingProvider, ReportOverage};
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult, completed, skipped};
use async_trait::async_trait;

/// How many reports one run makes: one that an earlier run has left, and one of what came since.
const REPORTS_OF_ONE_RUN: usize = 3;

/// Decides, reports, records. A crash between any two of them leaves a report that is pending, which the next run, of this or
/// of another task, makes with the same numbers under the same key before it decides about anything newer.
pub(crate) struct ReportOverageHandler {
    reference: ReferencePorts,
    billing: Arc<dyn BillingProvider>,
}

impl ReportOverageHandler {
    pub(crate) fn new(reference: ReferencePorts, billing: Arc<dyn BillingProvider>) -> Self {
        Self { reference, billing }
    }
}

#[async_trait]
impl TaskHandler<ReportOverage> for ReportOverageHandler {
    async fn handle(&self, task: ReportOverage, ctx: &TaskContext) -> TaskResult {
        for reports in 0..REPORTS_OF_ONE_RUN {
            let report = match decide_overage_report(&self.reference, ctx.cause(), &task).await? {
                Progress::Done(report) => report,
                Progress::NotWanted(_) if reports > 0 => return completed(),
                Progress::NotWanted(reason) => return skipped(reason),
                Progress::NotYet(after) => return Ok(Outcome::Snoozed(after)),
            };
            self.billing.report(&report.usage(), &report.idempotency_key()).await?;
            record_overage_report(&self.reference, ctx.cause(), &report).await?;
        }
        Ok(Outcome::Snoozed(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::billing::BillingError;
    use aftercommit_testkit::reference::{RecordingBillingProvider, ReportStep};

    use super::*;
    use crate::handlers::scene::{Scene, failure_code, skipped_because, use_records};
    use crate::ledger_billing::LedgerBilling;

    const INCLUDED: u64 = 10_000;

    fn handler(scene: &Scene, billing: &Arc<RecordingBillingProvider>) -> ReportOverageHandler {
        ReportOverageHandler::new(scene.harness.ports.clone(), billing.clone())
    }

    /// How many records were charged for, when a key counts once; and whether one key always said the same.
    fn charged(billing: &RecordingBillingProvider) -> u64 {
        let mut by_key = std::collections::BTreeMap::new();
        for (usage, key) in billing.reported() {
            let known = by_key.entry(key.to_string()).or_insert(usage.records);
            assert_eq!(*known, usage.records, "one key says one thing");
        }
        by_key.values().sum()
    }

    #[tokio::test]
    async fn what_is_beyond_the_included_is_reported_once_and_only_what_is_new_the_next_time() {
        let (scene, billing) = (Scene::new().await, Arc::default());
        let handler = handler(&scene, &billing);
        let task = use_records(&scene, 10_000).await;
        let nothing = skipped_because("nothing beyond what is included or was reported");
        assert_eq!(scene.context().run(&handler, &task).await, nothing);
        use_records(&scene, 7).await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(scene.context().run(&handler, &task).await, nothing);
        use_records(&scene, 5).await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let amounts: Vec<u64> = billing.reported().iter().map(|(usage, _)| usage.records).collect();
        assert_eq!(amounts, [7, 5]);
        assert_eq!(scene.harness.ports.settings.included_records, INCLUDED);
    }

    #[tokio::test]
    async fn when_the_reply_is_lost_the_same_is_said_again_under_the_same_key_and_then_the_rest() {
        let (scene, billing) = (Scene::new().await, Arc::<RecordingBillingProvider>::default());
        billing.script([ReportStep::AcceptThenLoseReply]);
        let (handler, run) = (handler(&scene, &billing), scene.context());
        let task = use_records(&scene, 10_007).await;
        assert_eq!(failure_code(run.run(&handler, &task).await), "billing.unavailable");
        // Meanwhile more is used: a key made of the new total would charge for the first part twice.
        use_records(&scene, 5).await;
        assert_eq!(run.attempt(2).run(&handler, &task).await, Ok(Outcome::Completed));
        let amounts: Vec<u64> = billing.reported().iter().map(|(usage, _)| usage.records).collect();
        assert_eq!((amounts, charged(&billing)), (vec![7, 7, 5], 12));
    }

    #[tokio::test]
    async fn a_crash_before_or_after_the_report_neither_loses_nor_doubles_it() {
        let (scene, billing) = (Scene::new().await, Arc::<RecordingBillingProvider>::default());
        let handler = handler(&scene, &billing);
        let task = use_records(&scene, 10_007).await;
        // Between deciding and reporting: decided, and nobody told.
        let decided = decide_overage_report(&scene.harness.ports, &Cause::root(), &task).await;
        let Progress::Done(decided) = decided.unwrap() else {
            panic!("it is to be reported");
        };
        use_records(&scene, 1).await;
        // Another task goes on with it, and its record is lost: told, and not noted.
        billing
            .report(&decided.usage(), &decided.idempotency_key())
            .await
            .unwrap();
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(charged(&billing), 8);
    }

    #[tokio::test]
    async fn nobody_is_told_of_what_was_not_committed() {
        let (scene, billing) = (Scene::new().await, Arc::<RecordingBillingProvider>::default());
        let task = use_records(&scene, 10_007).await;
        scene.harness.store.refuse_commits(true);
        let result = scene.context().run(&handler(&scene, &billing), &task).await;
        assert_eq!(failure_code(result), "commit.rolled_back");
        assert!(billing.reported().is_empty());
    }

    #[tokio::test]
    async fn a_refused_report_stays_pending() {
        let (scene, billing) = (Scene::new().await, Arc::<RecordingBillingProvider>::default());
        let refused = BillingError::Refused { reason: "400".into() };
        billing.script([ReportStep::Reject(refused)]);
        let task = use_records(&scene, 10_007).await;
        let handler = handler(&scene, &billing);
        assert_eq!(
            failure_code(scene.context().run(&handler, &task).await),
            "billing.refused"
        );
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        assert_eq!(charged(&billing), 7);
    }

    #[tokio::test]
    async fn the_ledger_takes_down_what_is_reported_once_for_each_key() {
        let scene = Scene::new().await;
        let task = use_records(&scene, 10_007).await;
        let ports = scene.harness.ports.clone();
        let billing = Arc::new(LedgerBilling::new(ports.clone()));
        let handler = ReportOverageHandler::new(ports.clone(), billing.clone());
        let decided = decide_overage_report(&ports, &Cause::root(), &task).await.unwrap();
        let Progress::Done(decided) = decided else {
            panic!("it is to be reported");
        };
        billing
            .report(&decided.usage(), &decided.idempotency_key())
            .await
            .unwrap();
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let tenant = scene.caller.tenant_of(&task.project_id);
        let mut uow = ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        assert_eq!(
            uow.billing_ledger().total(&task.project_id, task.month).await.unwrap(),
            7
        );
    }
}
