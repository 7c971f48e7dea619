//! The outbox as operators see it.

use aftercommit_domain::contract::Limits;
use aftercommit_domain::events::{OutboxMessage, OutboxStats, QuarantinedRow};
use aftercommit_domain::tasks::TopicDepth;
use aftercommit_domain::time::Timestamp;
use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::http::Problem;
use crate::kit::Operations;

#[derive(Serialize)]
pub(super) struct Status {
    #[serde(flatten)]
    outbox: OutboxStats,
    /// Seconds since the oldest unpublished row was written.
    oldest_age_seconds: Option<f64>,
    /// The newest quarantined rows.
    set_aside: Vec<SetAside>,
    topics: Vec<TopicDepth>,
}

/// A quarantined row, without its payload.
#[derive(Serialize)]
struct SetAside {
    what: String,
    written_at: Timestamp,
    reason: String,
}

/// How many quarantined rows are told of.
const MOST_SET_ASIDE: u32 = 10;

impl SetAside {
    fn of(row: QuarantinedRow, limits: &Limits) -> Self {
        let what = OutboxMessage::from_raw(&row.message, limits).map_or_else(
            |_| {
                format!(
                    "{} of {} bytes that cannot be read",
                    row.message.kind,
                    row.message.body.len()
                )
            },
            |message| message.describe(),
        );
        Self {
            what,
            written_at: row.written_at,
            reason: row.reason,
        }
    }
}

pub(super) async fn status(State(operations): State<Operations>) -> Result<Json<Status>, Problem> {
    let outbox = operations.outbox().stats().await.map_err(|error| Problem::of(&error))?;
    let aside = if outbox.quarantined == 0 {
        Vec::new()
    } else {
        let rows = operations.outbox().quarantined(MOST_SET_ASIDE).await;
        rows.map_err(|error| Problem::of(&error))?
    };
    let limits = operations.kit.envelopes().codec().limits();
    let topics = operations
        .inspector()
        .depths()
        .await
        .map_err(|error| Problem::of(&error))?;
    let now = operations.kit.clock().now();
    let age = outbox.oldest.map(|oldest| {
        now.signed_duration_since(oldest)
            .to_std()
            .unwrap_or_default()
            .as_secs_f64()
    });
    Ok(Json(Status {
        outbox,
        oldest_age_seconds: age,
        set_aside: aside.into_iter().map(|row| SetAside::of(row, limits)).collect(),
        topics,
    }))
}
