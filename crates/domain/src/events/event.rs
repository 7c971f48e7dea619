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
///
/// Every contract carries an organization id and a project id, so that each message belongs to a tenant. Fields of
/// other names are marked; any type that converts will do. A contract without both says why:
///
/// ```
/// use aftercommit_domain::contract::{Contract, OrganizationId, Scope, Tenant};
/// use aftercommit_domain::events::DomainEvent;
/// use serde::{Deserialize, Serialize};
/// use uuid::Uuid;
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// #[event(name = "ReportFiled", version = 1, aggregate = "report")]
/// struct ReportFiled {
///     #[organization_id]
///     account: i64,
///     #[project_id]
///     workspace: Uuid,
///     #[aggregate_id]
///     report: i64,
/// }
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// #[event(name = "MonthClosed", version = 1, aggregate = "organization")]
/// #[exempt(organization, "a bill covers every project of an organization")]
/// struct MonthClosed {
///     #[aggregate_id]
///     organization_id: OrganizationId,
/// }
///
/// let event = ReportFiled { account: 7, workspace: Uuid::from_u128(8), report: 9 };
/// assert_eq!(event.tenant(), Tenant::project(7, Uuid::from_u128(8)));
/// assert_eq!(MonthClosed::SCOPE, Scope::Organization);
/// ```
///
/// An older version is read through `upcast`, which turns its JSON into that of the next version:
///
/// ```
/// use aftercommit_domain::contract::{Contract, OrganizationId, ProjectId, UpcastError};
/// use aftercommit_domain::events::DomainEvent;
/// use serde::{Deserialize, Serialize};
/// use serde_json::{Value, json};
///
/// #[derive(Serialize, Deserialize, DomainEvent)]
/// #[event(name = "InvoicePaid", version = 2, aggregate = "invoice", upcast = upcast)]
/// struct InvoicePaid {
///     organization_id: OrganizationId,
///     project_id: ProjectId,
///     #[aggregate_id]
///     invoice_id: i64,
///     /// Since version 2.
///     instalments: u32,
/// }
///
/// fn upcast(from: u16, mut payload: Value) -> Result<Value, UpcastError> {
///     match from {
///         1 => payload["instalments"] = json!(1),
///         _ => return Err(UpcastError { from, reason: "there was no such version".into() }),
///     }
///     Ok(payload)
/// }
///
/// assert_eq!(InvoicePaid::upcast(1, json!({})), Ok(json!({ "instalments": 1 })));
/// ```
pub trait DomainEvent: Contract {
    /// Its wire name.
    const NAME: EventName;
    /// The kind of aggregate it is about.
    const AGGREGATE: AggregateType;

    /// The aggregate it is about; events of one aggregate stay in order.
    fn aggregate(&self) -> AggregateRef;
}
