//! What a domain event is.

use crate::contract::{AggregateRef, AggregateType, Contract, EventName};

/// A fact recorded together with the state change that made it true.
///
/// Derived:
///
/// ```
/// use aftercommit_domain::contract::{OrganizationId, ProjectId};
/// use aftercommit_domain::events::DomainEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// #[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
/// struct InvoicePaid {
///     organization_id: OrganizationId,
///     project_id: ProjectId,
///     #[aggregate_id]
///     invoice_id: i64,
/// }
///
/// let event = InvoicePaid { organization_id: 7.into(), project_id: 8.into(), invoice_id: 9 };
/// assert_eq!(event.aggregate().to_string(), "invoice/9");
/// ```
pub trait DomainEvent: Contract {
    /// Its wire name.
    const NAME: EventName;
    /// The kind of aggregate it is about.
    const AGGREGATE: AggregateType;

    /// The aggregate it is about; events of one aggregate stay in order.
    fn aggregate(&self) -> AggregateRef;
}
