//! `billing-overage`: charged once, whatever goes wrong.

use std::collections::BTreeMap;

use aftercommit_domain::contract::Cause;
use aftercommit_domain::reference::Progress;
use aftercommit_domain::reference::billing::{BillingError, ReportOverage};
use aftercommit_domain::reference::usage::month_of;
use aftercommit_domain::reference::workflows::start_overage_report;
use aftercommit_domain::workflows::{StartRequest, WorkflowEnd};
use aftercommit_testkit::reference::ReportStep;
use aftercommit_testkit::{TestServices, WorkflowTrial, try_workflow};
use serde_json::json;

use crate::golden::check_golden;
use crate::world::{World, now};

impl World {
    fn month(&self) -> ReportOverage {
        ReportOverage {
            organization_id: self.caller.organization_id.clone(),
            project_id: self.caller.project_id.clone(),
            month: month_of(self.harness.ports.now()),
        }
    }

    /// Uses records, and answers the month they were used in.
    fn use_records(&self, records: u32) -> ReportOverage {
        let month = self.month();
        let mut uow = self.unit();
        now(uow.usage().add_batch(&month.project_id, month.month, records)).unwrap();
        now(uow.commit()).unwrap();
        month
    }

    /// What the commit that decides asks for.
    fn decide(&self, month: &ReportOverage) -> StartRequest {
        let progress = now(start_overage_report(&self.harness.ports, &Cause::root(), month)).unwrap();
        assert_eq!(progress, Progress::Done(()));
        self.start_request()
    }

    /// How many records were charged for, when a key counts once; one key must always say the same.
    fn charged(&self) -> u64 {
        let mut by_key = BTreeMap::new();
        for (usage, key) in self.billing.reported() {
            let known = by_key.entry(key.to_string()).or_insert(usage.records);
            assert_eq!(*known, usage.records, "one key says one thing");
        }
        by_key.values().sum()
    }

    /// Up to how many records the mark says were charged for.
    fn mark(&self, month: &ReportOverage) -> u64 {
        let mut uow = self.unit();
        now(uow.overage_reports().reported_up_to(&month.project_id, month.month)).unwrap()
    }
}

fn trial(services: &TestServices) -> WorkflowTrial<(u64, u64)> {
    let world = World::with(services);
    let month = world.use_records(10_007);
    WorkflowTrial {
        registry: world.registry(),
        start: world.decide(&month),
        signals: vec![],
        effects: Box::new(move || (world.charged(), world.mark(&month))),
        // Told or not, the report is pending, and is told again under the same key.
        may_be_cancelled_so: Box::new(|end, (_, mark)| *end == WorkflowEnd::Cancelled && *mark == 0),
    }
}

#[tokio::test]
async fn an_overage_is_charged_once_and_the_mark_is_moved_whatever_goes_wrong_wherever() {
    let report = try_workflow(trial).await;
    assert!(report.places >= 4 && report.attempts >= 2, "{report:?}");
    let world = World::new();
    let month = world.use_records(10_007);
    let start = world.decide(&month);
    assert_eq!(world.run(start).await, WorkflowEnd::Completed(json!(true)));
    assert_eq!((world.charged(), world.mark(&month)), (7, 7));
}

#[tokio::test]
async fn the_history_of_an_overage_is_replayed() {
    let world = World::new();
    let start = world.decide(&world.use_records(10_007));
    check_golden("billing_overage_1", &world, start).await;
}

#[tokio::test]
async fn when_the_reply_of_the_provider_is_lost_the_same_is_said_again_under_the_same_key() {
    let world = World::new();
    let month = world.use_records(10_007);
    let start = world.decide(&month);
    world.billing.script([ReportStep::AcceptThenLoseReply]);
    // Meanwhile more is used: a key made of the new total would charge for the first part twice.
    world.use_records(5);
    assert_eq!(world.run(start).await, WorkflowEnd::Completed(json!(true)));
    let amounts: Vec<u64> = world
        .billing
        .reported()
        .iter()
        .map(|(usage, _)| usage.records)
        .collect();
    assert_eq!((amounts, world.charged()), (vec![7, 7], 7));
    // What was used meanwhile is a workflow of its own, asked for with the transaction that moved the mark.
    let next = world.start_request();
    assert_eq!(world.run(next).await, WorkflowEnd::Completed(json!(true)));
    assert_eq!((world.charged(), world.mark(&month)), (12, 12));
    assert_eq!(world.requests(), []);
}

#[tokio::test]
async fn a_provider_that_refuses_is_asked_once_and_one_that_is_away_again_and_again() {
    let world = World::new();
    let month = world.use_records(10_007);
    let away = || {
        let reason = "503".into();
        ReportStep::Reject(BillingError::Unavailable { reason })
    };
    let refused = BillingError::Refused { reason: "422".into() };
    world.billing.script([away(), away(), ReportStep::Reject(refused)]);
    let WorkflowEnd::Failed(failure) = world.run(world.decide(&month)).await else {
        panic!("it was refused");
    };
    assert_eq!((failure.kind.as_ref(), failure.retryable), ("billing.refused", false));
    assert_eq!((world.charged(), world.mark(&month)), (0, 0));
    // It is still to be reported: the next one who asks starts it again.
    let again = world.decide(&month);
    assert_eq!(world.run(again).await, WorkflowEnd::Completed(json!(true)));
    assert_eq!((world.charged(), world.mark(&month)), (7, 7));
}

#[tokio::test]
async fn an_overage_is_not_reported_unless_its_decision_was_committed() {
    let world = World::new();
    let month = world.use_records(10_007);
    world.harness.store.refuse_commits(true);
    assert!(now(start_overage_report(&world.harness.ports, &Cause::root(), &month)).is_err());
    assert_eq!(world.requests(), []);
}
