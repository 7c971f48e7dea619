//! `/v1/projects/{project_id}/records:batch` and what was kept of them.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::records::use_cases::{
    IncomingRecord, IngestRecords, RecordsIngestion, ingest_records,
};
use aftercommit_domain::reference::search::use_cases::{FoundRecords, search_records};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::named;
use crate::authenticated::Authenticated;
use crate::json_body::{JsonBody, Required};
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    records: Option<Vec<Record>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: Option<String>,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    q: Option<String>,
}

/// What is found is as old as the search index.
pub(crate) async fn search(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<FoundRecords>, Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    // What cannot be read asks for nothing, which is refused with the name of the parameter.
    let query = asked.ok().and_then(|Query(asked)| asked.q).unwrap_or_default();
    let cause = info.context().cause;
    let found = search_records(&state.reference, &caller, &cause, &project_id, &query).await?;
    Ok(Json(found))
}

/// 202, because what follows from the records follows afterwards.
pub(crate) async fn ingest(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<RecordsIngestion>), Problem> {
    let project_id: ProjectId = named::id(&project_id, "project")?;
    let mut required = Required::default();
    let records = required.field("records", body.value.records);
    required.check()?;
    let input = IngestRecords {
        project_id,
        records: records.into_iter().map(IncomingRecord::from).collect(),
    };
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let rail = (&*state.events, &state.envelopes);
    let ingestion = ingest_records(&state.reference, rail, &caller, &request, input).await?;
    Ok((StatusCode::ACCEPTED, Json(ingestion)))
}

impl From<Record> for IncomingRecord {
    fn from(record: Record) -> Self {
        Self {
            key: record.key.unwrap_or_default(),
            body: record.body.map(|body| body.get().to_owned()),
        }
    }
}
