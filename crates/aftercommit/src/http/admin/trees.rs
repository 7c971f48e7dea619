//! Trees of causes and consequences as operators see them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::http::Problem;
use crate::http::admin::Path;
use crate::kit::Operations;
use crate::message_tree::{MessageTree, tree_of};

pub(super) async fn show(
    State(operations): State<Operations>,
    Path(id): Path<String>,
) -> Result<Json<MessageTree>, Problem> {
    let tree = tree_of(&operations, &id).await.map_err(|error| Problem::of(&error))?;
    tree.map(Json).ok_or_else(|| {
        let detail = "no event, task or request has this id, or nothing is kept of it any more";
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    })
}
