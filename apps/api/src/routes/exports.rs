//! `/v1/projects/{project_id}/exports` and `/v1/exports/{export_id}`.

use aftercommit_domain::reference::ExportId;
use aftercommit_domain::reference::exports::use_cases::{
    ExportRequest, RequestExport, cancel_export, request_export, show_export,
};
use aftercommit_domain::reference::exports::{Export, ExportState};
use aftercommit_domain::time::{Timestamp, hours};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::named;
use crate::authenticated::Authenticated;
use crate::json_body::{JsonBody, Required};
use crate::request::RequestInfo;
use crate::{ApiState, Problem};

/// For how many hours a link works; whoever asks again gets a new one.
const LINK_HOURS: u64 = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    kind: Option<String>,
    recipient_user_id: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Shown {
    export_id: ExportId,
    kind: &'static str,
    status: &'static str,
    requested_at: Timestamp,
    progress: Progress,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where the file is downloaded, and until when that works.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url_expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Progress {
    /// Collected so far.
    rows: u64,
}

/// 202, because the file is made afterwards.
pub(crate) async fn request(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(project_id): Path<String>,
    body: JsonBody<Body>,
) -> Result<(StatusCode, Json<ExportRequest>), Problem> {
    let mut required = Required::default();
    let (kind, recipient_user_id) = (
        required.field("kind", body.value.kind),
        required.field("recipient_user_id", body.value.recipient_user_id),
    );
    required.check()?;
    let input = RequestExport {
        project_id: named::id(&project_id, "project")?,
        kind,
        recipient_user_id,
    };
    let request = info.context_of(Some(&caller.organization_id), body.fingerprint)?;
    let asked = request_export(&state.reference, &caller, &request, input).await?;
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

pub(crate) async fn show(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(export_id): Path<String>,
) -> Result<Json<Shown>, Problem> {
    let export_id = named::id(&export_id, "export")?;
    let export = show_export(&state.reference, &caller, &info.context().cause, export_id).await?;
    let mut shown = Shown::of(&export);
    if let (ExportState::Ready { file, .. }, Some(downloads)) = (&export.state, &state.downloads) {
        let link = downloads.link(file, hours(LINK_HOURS)).await?;
        shown.url = Some(link.url.into());
        shown.url_expires_at = Some(link.expires_at);
    }
    Ok(Json(shown))
}

/// 202, because its workflow is told afterwards; one that is over stays as it ended.
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    info: RequestInfo,
    Path(export_id): Path<String>,
) -> Result<(StatusCode, Json<ExportRequest>), Problem> {
    let export_id = named::id(&export_id, "export")?;
    cancel_export(&state.reference, &caller, &info.context(), export_id).await?;
    Ok((StatusCode::ACCEPTED, Json(ExportRequest { export_id })))
}

impl Shown {
    fn of(export: &Export) -> Self {
        let columns = export.state.columns();
        Self {
            export_id: export.id,
            kind: export.kind.as_str(),
            status: export.state.as_str(),
            requested_at: export.requested_at,
            progress: Progress { rows: columns.rows },
            bytes: columns.file.map(|_| columns.bytes),
            ended_at: columns.ended_at,
            reason: columns.reason.map(str::to_owned),
            url: None,
            url_expires_at: None,
        }
    }
}
