//! `projects`/`check-first-record`: tells of a project's first record, once.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::projects::CheckFirstRecord;
use aftercommit_domain::reference::projects::use_cases::check_first_record;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: a guarded update decides which of many batches was the first.
pub(crate) struct CheckFirstRecordHandler {
    reference: ReferencePorts,
}

impl CheckFirstRecordHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<CheckFirstRecord> for CheckFirstRecordHandler {
    async fn handle(&self, task: CheckFirstRecord, ctx: &TaskContext) -> TaskResult {
        Ok(check_first_record(&self.reference, ctx.cause(), &task).await?.into())
    }
}
