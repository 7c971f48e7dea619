//! Takes a batch of records.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::contract::{EnvelopeFactory, ProjectId, StorageKey};
use crate::events::EventsPublisher;
use crate::ids::MessageId;
use crate::reference::projects::Project;
use crate::reference::records::{NewRecord, RecordBody, RecordKey, RecordsIngested};
use crate::reference::requests::{Answers, Claim};
use crate::reference::{
    BatchId, Caller, InvalidInput, RecordId, ReferencePorts, Refusal, RequestContext, UseCaseError, Wrong,
};
use crate::tasks::PublishError;

/// How many records a batch may have.
const MAX_RECORDS: usize = 1000;

/// What is asked for.
#[derive(Clone)]
pub struct IngestRecords {
    /// The project that takes them.
    pub project_id: ProjectId,
    /// The records: 1 to 1000.
    pub records: Vec<IncomingRecord>,
}

/// A record from outside, not checked yet.
#[derive(Clone)]
pub struct IncomingRecord {
    /// Its key.
    pub key: String,
    /// Its body, as JSON.
    pub body: Option<String>,
}

/// What became of the batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordsIngestion {
    /// How many were stored.
    pub accepted: usize,
    /// Which were not.
    pub rejected: Vec<RejectedRecord>,
}

/// A record that was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRecord {
    /// Its place in the request, from 0.
    pub index: usize,
    /// Why.
    pub code: String,
}

/// What is kept of an answer: enough to tell of the batch again.
#[derive(Serialize, Deserialize)]
struct Kept {
    ingestion: RecordsIngestion,
    batch: BatchId,
    record_ids: Vec<RecordId>,
}

/// Stores the good records of a batch and then tells of them on the direct rail. One bad record never spoils another.
///
/// # Errors
/// Invalid input when there is no record or are too many; [`Refusal::NotFound`] for a project the organization does not
/// have; a used `Idempotency-Key`; the store; [`UseCaseError::Publish`] when the batch is durable but not told of, which
/// repeating the request makes good.
pub async fn ingest_records(
    ports: &ReferencePorts,
    rail: (&dyn EventsPublisher, &EnvelopeFactory),
    caller: &Caller,
    request: &RequestContext,
    input: IngestRecords,
) -> Result<RecordsIngestion, UseCaseError> {
    if input.records.is_empty() || input.records.len() > MAX_RECORDS {
        return Err(InvalidInput::of("records", "wrong_count", "must have 1 to 1000 records").into());
    }
    let project_id = input.project_id;
    let (records, rejected) = sort_out(input.records);
    let kept = store(ports, caller, request, &project_id, records, rejected).await?;
    if !kept.record_ids.is_empty() {
        let event = RecordsIngested {
            organization_id: caller.organization_id.clone(),
            project_id: project_id.clone(),
            record_count: u32::try_from(kept.record_ids.len()).unwrap_or(u32::MAX),
            batch: storage_key(caller, &project_id, kept.batch)?,
        };
        // The id comes from the batch, so that a repeated request tells of it under the same id.
        let id = MessageId::from(kept.batch.uuid()).derive("RecordsIngested");
        let (publisher, envelopes) = rail;
        let envelope = envelopes
            .event(id, &event, &request.cause)
            .map_err(PublishError::from_encode)?;
        publisher.publish(vec![envelope]).await.pop().unwrap_or(Ok(()))?;
    }
    Ok(kept.ingestion)
}

async fn store(
    ports: &ReferencePorts,
    caller: &Caller,
    request: &RequestContext,
    project_id: &ProjectId,
    records: Vec<NewRecord>,
    rejected: Vec<RejectedRecord>,
) -> Result<Kept, UseCaseError> {
    let mut uow = ports.units.begin(&caller.tenant_of(project_id), &request.cause).await?;
    let answers = match Answers::claim(ports, &mut *uow, request).await? {
        Claim::First(answers) => answers,
        Claim::Repeated(kept) => return Ok(kept),
    };
    let project = uow.projects().find(project_id).await?;
    if !project.as_ref().is_some_and(Project::is_live) {
        return Err(Refusal::NotFound { what: "project" }.into());
    }
    let batch = BatchId::new(&*ports.ids);
    let new_ids: Vec<RecordId> = records.iter().map(|_| RecordId::new(&*ports.ids)).collect();
    let key = storage_key(caller, project_id, batch)?;
    let mut record_ids = uow
        .records()
        .upsert(project_id, &key, &records, &new_ids, ports.now())
        .await?;
    // A key that came twice in one batch is one record.
    let mut seen = HashSet::new();
    record_ids.retain(|id| seen.insert(*id));

    let kept = Kept {
        ingestion: RecordsIngestion {
            accepted: records.len(),
            rejected,
        },
        batch,
        record_ids,
    };
    answers.keep(&mut *uow, &kept).await?;
    uow.commit().await?;
    Ok(kept)
}

fn sort_out(incoming: Vec<IncomingRecord>) -> (Vec<NewRecord>, Vec<RejectedRecord>) {
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for (index, record) in incoming.into_iter().enumerate() {
        let checked = RecordKey::new(record.key).and_then(|key| {
            let body = record
                .body
                .ok_or_else(|| Wrong::new("record.body_missing", "must be there"))?;
            RecordBody::new(body).map(|body| NewRecord { key, body })
        });
        match checked {
            Ok(record) => records.push(record),
            Err(wrong) => rejected.push(RejectedRecord {
                index,
                code: wrong.code.to_owned(),
            }),
        }
    }
    (records, rejected)
}

/// Two tenant ids and a UUID fit any storage key, so what does not fit is no project that exists.
fn storage_key(caller: &Caller, project_id: &ProjectId, batch: BatchId) -> Result<StorageKey, Refusal> {
    StorageKey::new(format!("records/{}/{project_id}/{batch}", caller.organization_id))
        .map_err(|_| Refusal::NotFound { what: "project" })
}
