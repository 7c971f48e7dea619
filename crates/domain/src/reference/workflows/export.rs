//! `export`: makes the file of an export, tells who wanted it, or leaves nothing of it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::contract::SignalName;
use crate::reference::exports::RunExport;
use crate::reference::workflows::export_activities::{
    BeginExport, CollectExport, Collection, CompleteExport, EndExport, ExportEnd, ExportFile, NotifyExport, WithRun,
};
use crate::reference::workflows::export_cursor::ExportCursor;
use crate::time::{hours, minutes, seconds};
use crate::workflows::{ActivityOptions, Either, Exit, StepError, Workflow, WorkflowContext, WorkflowSignal};

/// Says that the export is not wanted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelExport {}

impl WorkflowSignal for CancelExport {
    const NAME: SignalName = SignalName::constant("cancel");
}

/// How far an export is: what the query `progress` reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportProgress {
    /// How many rows were collected.
    pub rows: u64,
    /// Whether they are all.
    pub is_collected: bool,
}

/// The key of the query that reads [`ExportProgress`].
pub const EXPORT_PROGRESS: &str = "progress";

/// The code of `export`. Answers the file, or nothing when it was not wanted any more before it began.
///
/// Until the file is whole, a cancellation, the signal `cancel` and a failure for good all end the same way: parts and object
/// are removed, and the row says how it ended. From then on it goes forward only, and tells its recipient once.
pub struct Exporting;

#[async_trait]
impl Workflow for Exporting {
    type Input = RunExport;
    type Output = Option<ExportFile>;

    async fn run(&self, ctx: &WorkflowContext, input: RunExport) -> Result<Option<ExportFile>, Exit> {
        ctx.publish(EXPORT_PROGRESS, &ExportProgress::default())?;
        let made = match ctx.either(ctx.wait_signal::<CancelExport>(), make(ctx, &input)).await {
            Either::First(told) => Err(told.err().unwrap_or(StepError::Cancelled)),
            Either::Second(made) => made,
        };
        let end = match &made {
            Ok(Some(file)) => ExportEnd::Ready(*file),
            Ok(None) => ExportEnd::NotWanted,
            Err(StepError::Cancelled) => ExportEnd::Cancelled,
            Err(StepError::Failed(failure)) => ExportEnd::Failed(failure.to_string()),
        };
        let ctx = ctx.detached();
        let end = WithRun::new(&input, end);
        let is_told = ctx.activity::<EndExport>(&end, again_and_again()).await?;
        if is_told {
            ctx.activity::<NotifyExport>(&end, again_and_again()).await?;
        }
        let made = made?;
        Ok(if is_told { made } else { None })
    }
}

/// Collects the rows part by part and puts the file together. `None` when the export is not wanted any more.
async fn make(ctx: &WorkflowContext, input: &RunExport) -> Result<Option<ExportFile>, StepError> {
    if !ctx
        .activity::<BeginExport>(input, ActivityOptions::attempts(10))
        .await?
    {
        return Ok(None);
    }
    let mut cursor = ExportCursor::default();
    loop {
        let from = WithRun::new(input, cursor.clone());
        match ctx.activity::<CollectExport>(&from, collecting()).await? {
            Collection::NotWanted => return Ok(None),
            Collection::Some(next) => cursor = next,
            Collection::All(last) => {
                ctx.publish(EXPORT_PROGRESS, &progress(&last, true))?;
                let whole = WithRun::new(input, last);
                return Ok(Some(ctx.activity::<CompleteExport>(&whole, completing()).await?));
            }
        }
        ctx.publish(EXPORT_PROGRESS, &progress(&cursor, false))?;
    }
}

const fn progress(cursor: &ExportCursor, is_collected: bool) -> ExportProgress {
    ExportProgress {
        rows: cursor.rows,
        is_collected,
    }
}

/// An attempt that says nothing for half a minute is lost; the next goes on after the last part that was told of.
fn collecting() -> ActivityOptions {
    ActivityOptions {
        start_to_close: minutes(30),
        heartbeat: Some(seconds(30)),
        ..ActivityOptions::attempts(10)
    }
}

/// It reads and writes every part, tens of gigabytes at most, through its worker. A worker that is lost is missed long before
/// the hour is over where the engine sees whether workers live, so that the hour holds up nothing but an attempt that hangs.
fn completing() -> ActivityOptions {
    ActivityOptions {
        start_to_close: hours(1),
        ..ActivityOptions::attempts(10)
    }
}

/// What was begun must not stay half done: people look after it sooner than it gives up.
fn again_and_again() -> ActivityOptions {
    ActivityOptions::attempts(1000)
}
