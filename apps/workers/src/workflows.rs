//! The workflows this package owns, and their activities.

use aftercommit::workflows::Workflows;

use crate::HandlerPorts;

/// Every workflow of the product with its activities: the one place where they are registered.
pub fn workflows(_ports: &HandlerPorts) -> Workflows {
    Workflows::new()
}
