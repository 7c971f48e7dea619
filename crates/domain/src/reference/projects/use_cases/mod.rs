//! What can be done with projects.

mod check_first_record;
mod create_project;
mod delete_project;
mod mark_provisioned;
mod provision_project;

pub use check_first_record::check_first_record;
pub use create_project::{CreateProject, ProjectCreation, create_project};
pub use delete_project::delete_project;
pub use mark_provisioned::mark_provisioned;
pub use provision_project::provision_project;
