//! The workflows this package owns, and their activities.

use aftercommit::StartupError;
use aftercommit::workflows::Workflows;
use aftercommit_domain::contract::Codec;
use aftercommit_domain::reference::exports::RunExport;
use aftercommit_domain::reference::workflows::{
    BillingOverage, ProjectProvisioning, UserDeletion, WorkflowPorts, reference_workflows,
};

/// Every workflow of the product with its activities: what a process with an engine runs.
///
/// # Errors
/// Two of one name, which is a mistake in the product.
pub fn workflows(codec: Codec, ports: &WorkflowPorts) -> Result<Workflows, StartupError> {
    let registry = reference_workflows(codec, ports).map_err(|error| StartupError::Application(error.to_string()))?;
    Ok(startable_workflows().registry(registry))
}

/// Every workflow of the product, which other processes run: what operators can start from here.
pub fn startable_workflows() -> Workflows {
    Workflows::new()
        .starting::<BillingOverage>()
        .starting::<ProjectProvisioning>()
        .starting::<UserDeletion>()
        .starting::<RunExport>()
}
