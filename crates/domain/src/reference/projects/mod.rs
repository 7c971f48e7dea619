//! Projects: what an organization's records, invitations and API keys belong to.

mod events;
mod project;
mod project_repository;
mod project_services;
mod tasks;
pub mod use_cases;

pub use events::{FirstRecordReceived, ProjectCreated, ProjectDeleted};
pub use project::Project;
pub use project_repository::ProjectRepository;
pub use project_services::{ProjectService, ProjectServiceError, ProjectServices};
pub use tasks::{CheckFirstRecord, ProvisionProject};
