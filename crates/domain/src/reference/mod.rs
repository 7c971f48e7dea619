//! The reference product: a small multi-tenant workspace SaaS that uses every rail.
//!
//! Organizations have projects and people; people are invited by e-mail and sign in by magic link; projects take
//! records. Each area has its entities, events, tasks, repository ports and one file per use case. [`routes`] says what
//! follows from each event, [`catalogue`] lists them.

mod catalogue;
mod context;
mod digest;
mod error;
mod ids;
mod input;
mod ports;
mod progress;
mod reader;
mod routes;
mod schedules;
mod secret;
mod settings;
mod unit_of_work;

pub mod billing;
pub mod digests;
pub mod exports;
pub mod identity;
pub mod incidents;
pub mod invitations;
pub mod notifications;
pub mod organizations;
pub mod projects;
pub mod records;
pub mod requests;
pub mod search;
pub mod usage;
pub mod webhooks;
pub mod workflows;

pub use catalogue::{catalogue, tasks};
pub use context::{Caller, RequestContext};
pub use digest::Digest;
pub use error::{Refusal, UseCaseError};
pub use ids::{
    ApiKeyId, BatchId, ExportId, IncidentId, InvitationId, NotificationId, OverageReportId, RecordId, RequestId,
    SignInLinkId, UserId, WebhookId, WeeklyDigestId,
};
pub use input::{InputProblem, InvalidInput, Name, Wrong};
pub use ports::ReferencePorts;
pub use progress::Progress;
pub use reader::ReferenceReader;
pub use routes::{routes, routes_at};
pub use schedules::schedules;
pub use secret::Secret;
pub use settings::{ProductPace, ProductSettings};
pub use unit_of_work::{ReferenceUnitOfWork, ReferenceUnitOfWorkFactory};
