//! The routes, by area.

pub(crate) mod api_keys;
pub(crate) mod exports;
pub(crate) mod invitations;
pub(crate) mod magic_links;
mod named;
pub(crate) mod notification_preferences;
pub(crate) mod organizations;
pub(crate) mod projects;
pub(crate) mod records;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod webhooks;
