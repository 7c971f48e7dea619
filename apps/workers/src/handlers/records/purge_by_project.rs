//! `records`/`purge-by-project`: removes the records of a deleted project.

use std::time::Duration;

use aftercommit_domain::reference::records::PurgeRecords;
use aftercommit_domain::reference::records::use_cases::purge_records;
use aftercommit_domain::reference::{Progress, ReferencePorts};
use aftercommit_domain::tasks::{Outcome, TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// How many parts one run removes before it lets other tasks of the topic have a turn.
const PARTS_OF_ONE_RUN: usize = 50;

/// Removes part after part, each in a transaction of its own, so that a stop or a crash loses no more than one.
pub(crate) struct PurgeRecordsHandler {
    reference: ReferencePorts,
}

impl PurgeRecordsHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<PurgeRecords> for PurgeRecordsHandler {
    async fn handle(&self, task: PurgeRecords, ctx: &TaskContext) -> TaskResult {
        for _ in 0..PARTS_OF_ONE_RUN {
            match purge_records(&self.reference, ctx.cause(), &task).await? {
                Progress::NotYet(_) if !ctx.cancellation().is_cancelled() => {}
                progress => return Ok(progress.into()),
            }
        }
        Ok(Outcome::Snoozed(Duration::ZERO))
    }
}
