//! The same workflow, written for the SDK alone, as its own examples are.
#![expect(clippy::unused_async, reason = "the SDK asks for it")]

use temporalio_macros::{activities, workflow, workflow_methods};
use temporalio_sdk::activities::{ActivityContext, ActivityError};
use temporalio_sdk::{ActivityOptions, WorkflowContext, WorkflowResult};

use crate::ported::{ATTEMPT, ThreeSteps};

#[workflow]
#[derive(Default)]
pub(crate) struct NativeThreeSteps;

#[workflow_methods]
impl NativeThreeSteps {
    #[run]
    pub(crate) async fn run(ctx: &mut WorkflowContext<Self>, input: ThreeSteps) -> WorkflowResult<u64> {
        let mut number = input.number;
        for _ in 0..3 {
            let options = ActivityOptions::start_to_close_timeout(ATTEMPT);
            number = ctx
                .execute_activity(NativeActivities::increment, number, options)
                .await?;
        }
        Ok(number)
    }
}

pub(crate) struct NativeActivities;

#[activities]
impl NativeActivities {
    #[activity]
    pub(crate) async fn increment(_ctx: ActivityContext, number: u64) -> Result<u64, ActivityError> {
        Ok(number + 1)
    }
}
