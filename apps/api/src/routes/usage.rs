//! `/v1/projects/{project_id}/usage`.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::usage::UsagePeriod;
use aftercommit_domain::reference::usage::use_cases::list_usage;
use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::named;
use crate::authenticated::Authenticated;
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Serialize)]
pub(crate) struct Usage {
    /// Newest first.
    periods: Vec<Period>,
}

#[derive(Serialize)]
struct Period {
    /// As `2026-11`.
    month: String,
    batches: u64,
    records: u64,
}

pub(crate) async fn list(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
) -> Result<Json<Usage>, Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    let periods = list_usage(&state.reference, &caller, &info.context().cause, &project_id).await?;
    Ok(Json(Usage {
        periods: periods.into_iter().map(Period::from).collect(),
    }))
}

impl From<UsagePeriod> for Period {
    fn from(period: UsagePeriod) -> Self {
        Self {
            month: period.month.format("%Y-%m").to_string(),
            batches: period.batches,
            records: period.records,
        }
    }
}
