//! What a path names.

use std::str::FromStr;

use aftercommit_domain::contract::ProjectId;

use crate::Problem;

/// The id in a path. Text that is no id names nothing, so it is answered as that.
pub(super) fn id<T: FromStr>(text: &str, what: &'static str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::no_such(what))
}

/// A project a body names, if it does.
pub(super) fn project(text: Option<String>) -> Result<Option<ProjectId>, Problem> {
    text.map(|text| id(&text, "project")).transpose()
}
