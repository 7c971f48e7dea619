//! Faults of settling.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{Delivery, Outcome, SettleError};
use async_trait::async_trait;

use super::{Operation, REASON, Script};

pub(super) struct FaultyDelivery {
    pub(super) inner: Box<dyn Delivery>,
    pub(super) script: Arc<Script>,
}

#[async_trait]
impl Delivery for FaultyDelivery {
    fn task(&self) -> &RawTask {
        self.inner.task()
    }

    fn attempt(&self) -> u32 {
        self.inner.attempt()
    }

    fn redelivered(&self) -> bool {
        self.inner.redelivered()
    }

    fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    fn must_run_alone(&self) -> bool {
        self.inner.must_run_alone()
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        self.inner.begin_alone().await
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        let ack = self.inner.ack(outcome);
        self.script.around(Operation::Ack, ack, settle_away).await
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        let retry = self.inner.retry(after, counted, failure);
        self.script.around(Operation::Retry, retry, settle_away).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        let dead_letter = self.inner.dead_letter(failure);
        self.script
            .around(Operation::DeadLetter, dead_letter, settle_away)
            .await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        let give_back = self.inner.give_back();
        self.script.around(Operation::GiveBack, give_back, settle_away).await
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        let set_aside = self.inner.set_aside();
        self.script.around(Operation::GiveBack, set_aside, settle_away).await
    }
}

fn settle_away() -> SettleError {
    SettleError::Unavailable { reason: REASON.into() }
}
