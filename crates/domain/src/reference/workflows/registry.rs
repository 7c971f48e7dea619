//! The product's workflows and activities, as an engine is given them.

use crate::contract::Codec;
use crate::reference::workflows::WorkflowPorts;
use crate::reference::workflows::billing_overage::{ChargeOverage, ReportingOverage, SettleOverage};
use crate::reference::workflows::export::Exporting;
use crate::reference::workflows::export_activities::{
    BeginExport, CollectExport, CompleteExport, EndExport, NotifyExport,
};
use crate::reference::workflows::project_provisioning::{
    CloseProjectService, MarkProjectProvisioned, OpenProjectService, ProvisioningProject,
};
use crate::reference::workflows::user_deletion::{
    AnonymiseUser, CloseOrganization, DeletingUser, LeaveOrganization, ListMemberships, RestoreMembership,
};
use crate::workflows::{RegisteredTwice, WorkflowRegistry};

/// Every workflow of the product and every activity they ask for.
///
/// # Errors
/// Two of one name, which is a mistake in the product.
pub fn reference_workflows(codec: Codec, ports: &WorkflowPorts) -> Result<WorkflowRegistry, RegisteredTwice> {
    WorkflowRegistry::new(codec)
        .with_workflow(ReportingOverage)?
        .with_activity(ChargeOverage(ports.clone()))?
        .with_activity(SettleOverage(ports.clone()))?
        .with_workflow(ProvisioningProject)?
        .with_activity(OpenProjectService(ports.clone()))?
        .with_activity(CloseProjectService(ports.clone()))?
        .with_activity(MarkProjectProvisioned(ports.clone()))?
        .with_workflow(DeletingUser)?
        .with_activity(ListMemberships(ports.clone()))?
        .with_activity(LeaveOrganization(ports.clone()))?
        .with_activity(RestoreMembership(ports.clone()))?
        .with_activity(CloseOrganization(ports.clone()))?
        .with_activity(AnonymiseUser(ports.clone()))?
        .with_workflow(Exporting)?
        .with_activity(BeginExport(ports.clone()))?
        .with_activity(CollectExport(ports.clone()))?
        .with_activity(CompleteExport(ports.clone()))?
        .with_activity(EndExport(ports.clone()))?
        .with_activity(NotifyExport(ports.clone()))
}
