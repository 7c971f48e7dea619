//! What can be done with organizations.

mod create_organization;
mod found;

pub use create_organization::{CreateOrganization, OrganizationCreation, create_organization};
pub(in crate::reference) use found::{Founded, found};
