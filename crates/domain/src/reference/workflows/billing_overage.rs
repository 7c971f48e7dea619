//! `billing-overage`: tells whoever charges of what was used beyond what is included, and then records that it did.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{ActivityName, OrganizationId, ProjectId};
use crate::reference::billing::use_cases::record_overage_report;
use crate::reference::billing::{OverageReport, ReportOverage};
use crate::reference::workflows::{WorkflowPorts, start_overage_report};
use crate::reference::{OverageReportId, UseCaseError};
use crate::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Exit, Workflow, WorkflowContext, WorkflowFailure,
    WorkflowInput,
};

/// Reports one decided overage, whose id is the workflow's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "billing-overage", version = 1)]
pub struct BillingOverage {
    /// Who pays.
    pub organization_id: OrganizationId,
    /// For which project.
    pub project_id: ProjectId,
    /// For which month: its first day, in UTC.
    pub month: chrono::NaiveDate,
    /// What is reported, as it was when it was decided.
    pub report_id: OverageReportId,
}

/// The code of `billing-overage`.
///
/// What is charged is decided before it starts and does not change: however often the provider is told, it is told the same
/// under the report's own key. A refusal ends it at once, and leaves the report pending for a person.
pub struct ReportingOverage;

#[async_trait]
impl Workflow for ReportingOverage {
    type Input = BillingOverage;
    type Output = bool;

    async fn run(&self, ctx: &WorkflowContext, input: BillingOverage) -> Result<bool, Exit> {
        let charged = ctx.activity::<ChargeOverage>(&input, patiently()).await?;
        // Whoever was charged is not to be charged again, whatever else becomes of the workflow.
        ctx.detached().activity::<SettleOverage>(&input, patiently()).await?;
        Ok(charged)
    }
}

/// A provider may be away for more than a day: the wait between two attempts grows to an hour.
fn patiently() -> ActivityOptions {
    ActivityOptions::attempts(40)
}

/// Tells the provider. Answers whether there was still something to tell.
pub(super) struct ChargeOverage(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for ChargeOverage {
    const NAME: ActivityName = ActivityName::constant("charge-overage");
    type Input = BillingOverage;
    type Output = bool;

    async fn run(&self, input: BillingOverage, ctx: &ActivityContext) -> Result<bool, ActivityError> {
        let Some(report) = pending(&self.0, &input, ctx).await? else {
            return Ok(false);
        };
        let (usage, key) = (report.usage(), report.idempotency_key());
        // A refusal is permanent by its class: it is not tried again.
        self.0.billing.report(&usage, &key).await?;
        Ok(true)
    }
}

/// Moves the mark up to which was charged, and starts the next report when more was used meanwhile.
pub(super) struct SettleOverage(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for SettleOverage {
    const NAME: ActivityName = ActivityName::constant("settle-overage");
    type Input = BillingOverage;
    type Output = ();

    async fn run(&self, input: BillingOverage, ctx: &ActivityContext) -> Result<(), ActivityError> {
        if let Some(report) = pending(&self.0, &input, ctx).await? {
            record_overage_report(&self.0.reference, ctx.cause(), &report).await?;
        }
        let next = ReportOverage {
            organization_id: input.organization_id,
            project_id: input.project_id,
            month: input.month,
        };
        let _ = start_overage_report(&self.0.reference, ctx.cause(), &next).await?;
        Ok(())
    }
}

/// The workflow's report, as long as it is not settled.
async fn pending(
    ports: &WorkflowPorts,
    input: &BillingOverage,
    ctx: &ActivityContext,
) -> Result<Option<OverageReport>, WorkflowFailure> {
    let mut uow = ports
        .reference
        .units
        .begin(ctx.tenant(), ctx.cause())
        .await
        .map_err(UseCaseError::from)?;
    let pending = uow.overage_reports().pending(&input.project_id, input.month).await;
    let pending = pending.map_err(UseCaseError::from)?;
    Ok(pending.filter(|report| report.id == input.report_id))
}
