//! What the workflow `export` does.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::{ActivityName, BoundedText, OrganizationId, ProjectId};
use crate::effects::{ObjectKey, ObjectStorage};
use crate::reference::exports::use_cases::advance_export;
use crate::reference::exports::{Export, ExportState, RunExport};
use crate::reference::notifications::use_cases::create_notification;
use crate::reference::notifications::{CreateNotification, NotificationKind};
use crate::reference::records::Record;
use crate::reference::workflows::WorkflowPorts;
use crate::reference::workflows::export_cursor::ExportCursor;
use crate::reference::{ExportId, Progress, UseCaseError};
use crate::workflows::{Activity, ActivityContext, ActivityError, WorkflowFailure};

/// How many records are read at once. With the largest bodies, a page and a part that is not full yet are below what a part
/// may have.
const PAGE: u32 = 40;
/// Why an export fails whose project was deleted.
const GONE: &str = "the project is gone";
/// What a call of [`CollectExport`] came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Collection {
    /// There are more rows.
    Some(ExportCursor),
    /// These were all.
    All(ExportCursor),
    /// The export is over, or its project is gone.
    NotWanted,
}

/// The file of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFile {
    /// How many rows it has.
    pub rows: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// How an export ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExportEnd {
    /// With this file.
    Ready(ExportFile),
    /// It cannot be made, for this reason.
    Failed(String),
    /// Somebody did not want it any more.
    Cancelled,
    /// What it is about is gone.
    NotWanted,
}

/// Something about a run of the workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WithRun<T> {
    organization_id: OrganizationId,
    project_id: ProjectId,
    export_id: ExportId,
    what: T,
}

impl<T> WithRun<T> {
    pub(super) fn new(run: &RunExport, what: T) -> Self {
        Self {
            organization_id: run.organization_id.clone(),
            project_id: run.project_id.clone(),
            export_id: run.export_id,
            what,
        }
    }
}

impl WorkflowPorts {
    /// The export as it is now.
    async fn export(&self, id: ExportId, ctx: &ActivityContext) -> Result<Option<Export>, UseCaseError> {
        let mut uow = self.reference.units.begin(ctx.tenant(), ctx.cause()).await?;
        Ok(uow.exports().find(id).await?)
    }

    /// Records how far it is. `None` when it is not wanted any more.
    async fn advance(
        &self,
        id: ExportId,
        state: ExportState,
        ctx: &ActivityContext,
    ) -> Result<Option<Export>, UseCaseError> {
        match advance_export(&self.reference, ctx.cause(), ctx.tenant(), id, state).await? {
            Progress::Done(export) => Ok(Some(export)),
            Progress::NotWanted(_) | Progress::NotYet(_) => Ok(None),
        }
    }

    /// Removes what this attempt put for an export that ended meanwhile, because its worker was taken for lost: whoever ended it
    /// looked for that before.
    async fn leave_nothing(
        &self,
        export: &Export,
        file: &ObjectKey,
        ctx: &ActivityContext,
    ) -> Result<(), ActivityError> {
        let state = self.export(export.id, ctx).await?.map(|export| export.state);
        if state.as_ref().is_some_and(|state| !state.is_final()) {
            return Ok(());
        }
        self.storage().abort(file).await?;
        if !matches!(state, Some(ExportState::Ready { .. })) {
            self.storage().delete(file).await?;
        }
        Ok(())
    }

    fn storage(&self) -> &dyn ObjectStorage {
        &*self.storage
    }
}

/// Where the export's file lies.
fn file_of(export: &Export) -> Result<ObjectKey, WorkflowFailure> {
    export
        .file()
        .map_err(|invalid| WorkflowFailure::permanent("export.file", invalid.to_string()))
}

/// Says that the export is being made. Answers whether it is still wanted.
pub(super) struct BeginExport(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for BeginExport {
    const NAME: ActivityName = ActivityName::constant("begin-export");
    type Input = RunExport;
    type Output = bool;

    async fn run(&self, run: RunExport, ctx: &ActivityContext) -> Result<bool, ActivityError> {
        let begun = ExportState::Running { rows: 0 };
        Ok(self.0.advance(run.export_id, begun, ctx).await?.is_some())
    }
}

/// Collects rows into parts, a page at a time, so that no more than one part is in memory.
///
/// A part begins where the part before ended. What the cursor of a lost attempt does not tell of is collected again and put
/// under other numbers: the records may have changed meanwhile, and a worker that was taken for lost may still put its own.
pub(super) struct CollectExport(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for CollectExport {
    const NAME: ActivityName = ActivityName::constant("collect-export");
    type Input = WithRun<ExportCursor>;
    type Output = Collection;

    async fn run(&self, from: Self::Input, ctx: &ActivityContext) -> Result<Collection, ActivityError> {
        let Some(export) = self.0.export(from.export_id, ctx).await? else {
            return Ok(Collection::NotWanted);
        };
        let file = file_of(&export)?;
        let (mut numbers, last) = (from.what.numbers_of(ctx.attempt()), from.what.last_of_call());
        let mut cursor = ctx.cursor().unwrap_or(from.what);
        let mut is_all = false;
        while !is_all && cursor.parts() < last {
            let part;
            (part, is_all) = self.next_part(&export, &mut cursor, ctx).await?;
            if !part.is_empty() {
                let number = numbers.next()?;
                self.0.storage().put_part(&file, number, part).await?;
                cursor.add(number);
                let goes_on = ctx.heartbeat(&cursor).await;
                if goes_on.is_err() {
                    self.0.leave_nothing(&export, &file, ctx).await?;
                }
                goes_on?;
            }
        }
        let so_far = ExportState::Running { rows: cursor.rows };
        Ok(match self.0.advance(export.id, so_far, ctx).await? {
            None => {
                self.0.leave_nothing(&export, &file, ctx).await?;
                Collection::NotWanted
            }
            Some(_) if is_all => Collection::All(cursor),
            Some(_) => Collection::Some(cursor.after_all_of(&numbers)),
        })
    }
}

impl CollectExport {
    /// The rows after the cursor that make a part, and whether they are the last. The cursor is then behind them.
    async fn next_part(
        &self,
        export: &Export,
        cursor: &mut ExportCursor,
        ctx: &ActivityContext,
    ) -> Result<(Vec<u8>, bool), UseCaseError> {
        let mut part = Vec::new();
        while part.len() < self.0.export_part_bytes {
            let mut uow = self.0.reference.units.begin(ctx.tenant(), ctx.cause()).await?;
            let page = uow.records().page(&export.project_id, cursor.after, PAGE).await?;
            // Nothing is put while a transaction is open.
            drop(uow);
            for record in &page {
                part.extend_from_slice(line_of(record).as_bytes());
            }
            cursor.rows += page.len() as u64;
            cursor.after = page.last().map(|record| record.id).or(cursor.after);
            if page.len() < PAGE as usize {
                return Ok((part, true));
            }
        }
        Ok((part, false))
    }
}

/// One line of JSON. The body is JSON already.
fn line_of(record: &Record) -> String {
    let key = serde_json::Value::from(record.key.as_str());
    let (id, body, at) = (record.id, record.body.as_str(), record.received_at.to_rfc3339());
    // A body may have been sent in several lines.
    let body = body.replace(['\r', '\n'], " ");
    format!("{{\"id\":\"{id}\",\"key\":{key},\"received_at\":\"{at}\",\"body\":{body}}}\n")
}

/// Puts the file together.
pub(super) struct CompleteExport(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for CompleteExport {
    const NAME: ActivityName = ActivityName::constant("complete-export");
    type Input = WithRun<ExportCursor>;
    type Output = ExportFile;

    async fn run(&self, of: Self::Input, ctx: &ActivityContext) -> Result<ExportFile, ActivityError> {
        let export = self.0.export(of.export_id, ctx).await?;
        let export = export.ok_or_else(|| WorkflowFailure::permanent("export.gone", "the export is gone"))?;
        let file = file_of(&export)?;
        let bytes = self.0.storage().complete_of(&file, &of.what.numbers()?).await?;
        self.0.leave_nothing(&export, &file, ctx).await?;
        Ok(ExportFile {
            rows: of.what.rows,
            bytes,
        })
    }
}

/// Records how the export ended, and removes what was put for one that is not ready. Answers whether there is something to
/// tell of.
pub(super) struct EndExport(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for EndExport {
    const NAME: ActivityName = ActivityName::constant("end-export");
    type Input = WithRun<ExportEnd>;
    type Output = bool;

    async fn run(&self, of: Self::Input, ctx: &ActivityContext) -> Result<bool, ActivityError> {
        let Some(export) = self.0.export(of.export_id, ctx).await? else {
            return Ok(false);
        };
        let (file, at) = (file_of(&export)?, ctx.now());
        let (end, is_told) = match of.what {
            ExportEnd::Ready(ExportFile { rows, bytes }) => {
                let file = file.clone();
                let ready = ExportState::Ready { file, rows, bytes, at };
                if self.0.advance(export.id, ready, ctx).await?.is_some() {
                    self.0.leave_nothing(&export, &file_of(&export)?, ctx).await?;
                    return Ok(true);
                }
                // The project was deleted while the file was put together.
                (ExportState::failed(GONE, at), false)
            }
            ExportEnd::Failed(reason) => (ExportState::failed(reason, at), true),
            ExportEnd::Cancelled => (ExportState::Cancelled { at }, false),
            ExportEnd::NotWanted => (ExportState::failed(GONE, at), false),
        };
        // First what nobody would look for any more once the row says that it is over.
        self.0.storage().abort(&file).await?;
        self.0.storage().delete(&file).await?;
        let is_told = self.0.advance(export.id, end, ctx).await?.is_some() && is_told;
        // An attempt that its worker lost may have put something since; from now on it sees that the export is over.
        self.0.leave_nothing(&export, &file, ctx).await?;
        Ok(is_told)
    }
}

/// Tells the recipient, once for each export.
pub(super) struct NotifyExport(pub(super) WorkflowPorts);

#[async_trait]
impl Activity for NotifyExport {
    const NAME: ActivityName = ActivityName::constant("notify-export");
    type Input = WithRun<ExportEnd>;
    type Output = ();

    async fn run(&self, of: Self::Input, ctx: &ActivityContext) -> Result<(), ActivityError> {
        let Some(export) = self.0.export(of.export_id, ctx).await? else {
            return Ok(());
        };
        let kind = match of.what {
            ExportEnd::Ready(_) => NotificationKind::ExportReady,
            ExportEnd::Failed(_) | ExportEnd::Cancelled | ExportEnd::NotWanted => NotificationKind::ExportFailed,
        };
        let subject_id = export.id.uuid();
        let key = BoundedText::new(kind.key_of(subject_id));
        let task = CreateNotification {
            organization_id: export.organization_id,
            project_id: export.project_id,
            user_id: export.recipient_user_id,
            kind,
            subject_id,
            idempotency_key: key.map_err(|long| WorkflowFailure::permanent("key.too_long", long.to_string()))?,
        };
        // A row that is there already is told of already, and a recipient who left is told nothing.
        let _ = create_notification(&self.0.reference, ctx.cause(), &task).await?;
        Ok(())
    }
}
