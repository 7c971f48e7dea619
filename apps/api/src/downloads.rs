//! `/downloads`: objects, for whoever has a link.

use aftercommit_domain::effects::{
    DownloadError, ObjectContent, ObjectKey, ObjectStorageError, RefusedDownload, StoredObject,
};
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, Stream};
use serde::Deserialize;

use crate::{ApiState, Problem};

#[derive(Deserialize)]
pub(crate) struct Link {
    expires: i64,
    signature: String,
}

/// The object a link leads to, as a file to keep: 403 when the link is forged or over, 404 when the object is gone.
pub(crate) async fn download(
    State(state): State<ApiState>,
    Path(key): Path<String>,
    link: Result<Query<Link>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let downloads = state.downloads.as_ref().ok_or_else(gone)?;
    // A link without its signature was not made here.
    let Query(link) = link.map_err(|_| Problem::from(DownloadError::Refused(RefusedDownload::Forged)))?;
    let (key, object) = downloads.open(&key, link.expires, &link.signature).await?;
    Ok(attachment(&key, object))
}

fn attachment(key: &ObjectKey, object: StoredObject) -> Response {
    let mut response = Body::from_stream(pieces(object.content)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(object.bytes));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    // A name of a key needs no quoting.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", key.name())) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    // What customers put in is theirs to open, not for a browser to run or a proxy to keep.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

fn pieces(content: Box<dyn ObjectContent>) -> impl Stream<Item = Result<Vec<u8>, ObjectStorageError>> {
    stream::unfold(Some(content), |content| async {
        let mut content = content?;
        match content.next().await {
            Ok(Some(piece)) => Some((Ok(piece), Some(content))),
            Ok(None) => None,
            // The status has been sent: the connection is cut, and the length tells that something is missing.
            Err(error) => {
                tracing::error!(%error, "a download was cut off");
                Some((Err(error), None))
            }
        }
    })
}

fn gone() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "download.gone", DownloadError::Gone.to_string())
}

impl From<DownloadError> for Problem {
    fn from(error: DownloadError) -> Self {
        let code = match &error {
            DownloadError::Refused(RefusedDownload::Forged) => "download.forged",
            DownloadError::Refused(RefusedDownload::Expired) => "download.expired",
            DownloadError::Gone => return gone(),
            DownloadError::Storage(error) => return Self::from(error.clone()),
        };
        Self::new(StatusCode::FORBIDDEN, code, error.to_string())
    }
}
