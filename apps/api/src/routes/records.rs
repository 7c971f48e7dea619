//! `/v1/projects/{project_id}/records:batch`.

use aftercommit_domain::contract::ProjectId;
use aftercommit_domain::reference::records::use_cases::{
    IncomingRecord, IngestRecords, RecordsIngestion, ingest_records,
};
use axum::Json;
use axum::extract::{Path, State};
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
