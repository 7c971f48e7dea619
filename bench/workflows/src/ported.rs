//! The workflow through the port.

use std::time::Duration;

use aftercommit::domain::contract::ActivityName;
use aftercommit::prelude::*;
use serde::{Deserialize, Serialize};

/// How long an attempt of an activity may take, in both.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(10);

/// What both are given.
#[derive(Debug, Clone, Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "three-steps", version = 1)]
pub(crate) struct ThreeSteps {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) number: u64,
}

impl ThreeSteps {
    pub(crate) fn number(number: u64) -> Self {
        Self {
            organization_id: 7_i64.into(),
            project_id: 8_i64.into(),
            number,
        }
    }
}

pub(crate) struct TakingThreeSteps;

#[async_trait]
impl Workflow for TakingThreeSteps {
    type Input = ThreeSteps;
    type Output = u64;

    async fn run(&self, ctx: &WorkflowContext, input: ThreeSteps) -> Result<u64, Exit> {
        let options = ActivityOptions {
            start_to_close: ATTEMPT,
            ..ActivityOptions::default()
        };
        let mut number = input.number;
        for _ in 0..3 {
            number = ctx.activity::<Increment>(&number, options).await?;
        }
        Ok(number)
    }
}

pub(crate) struct Increment;

#[async_trait]
impl Activity for Increment {
    const NAME: ActivityName = ActivityName::constant("increment");
    type Input = u64;
    type Output = u64;

    async fn run(&self, number: u64, _: &ActivityContext) -> Result<u64, ActivityError> {
        Ok(number + 1)
    }
}
