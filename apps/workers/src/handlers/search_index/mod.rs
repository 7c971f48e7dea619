//! The topic `search-index`.

mod purge_by_project;
mod refresh;

pub(crate) use purge_by_project::PurgeSearchIndexHandler;
pub(crate) use refresh::RefreshSearchIndexHandler;
