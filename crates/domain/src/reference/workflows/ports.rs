//! What the activities are built with.

use std::sync::Arc;

use crate::reference::ReferencePorts;
use crate::reference::billing::BillingProvider;
use crate::reference::projects::ProjectServices;

/// What the activities are built with.
#[derive(Clone)]
pub struct WorkflowPorts {
    /// The product's stores, time, ids and randomness.
    pub reference: ReferencePorts,
    /// Charges for what is used.
    pub billing: Arc<dyn BillingProvider>,
    /// What projects use outside the product.
    pub services: Arc<dyn ProjectServices>,
}
