//! What the activities are built with.

use std::sync::Arc;

use crate::effects::ObjectStorage;
use crate::reference::ReferencePorts;
use crate::reference::billing::BillingProvider;
use crate::reference::projects::ProjectServices;

/// How many bytes a part of an export has at least, but for the last: what storages ask for that put parts together.
pub const EXPORT_PART_BYTES: usize = 5 * 1024 * 1024;

/// What the activities are built with.
#[derive(Clone)]
pub struct WorkflowPorts {
    /// The product's stores, time, ids and randomness.
    pub reference: ReferencePorts,
    /// Charges for what is used.
    pub billing: Arc<dyn BillingProvider>,
    /// What projects use outside the product.
    pub services: Arc<dyn ProjectServices>,
    /// Keeps the files of exports.
    pub storage: Arc<dyn ObjectStorage>,
    /// How many bytes a part of such a file has at least, but for the last: what is held in memory. Usually
    /// [`EXPORT_PART_BYTES`], which is also the most.
    pub export_part_bytes: usize,
}
