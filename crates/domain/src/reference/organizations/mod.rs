//! Organizations: who pays and who owns. Each is made with a default project.

mod events;
mod organization;
mod organization_repository;
pub mod use_cases;

pub use events::OrganizationCreated;
pub use organization::Organization;
pub use organization_repository::OrganizationRepository;
