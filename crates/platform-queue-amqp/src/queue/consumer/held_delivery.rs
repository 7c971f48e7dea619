//! A held task is settled where it is held.

use std::time::Duration;

use aftercommit_domain::contract::RawTask;
use aftercommit_domain::failure::Failure;
use aftercommit_domain::tasks::{Delivery, Outcome, SettleError};
use async_trait::async_trait;

use super::HeldDelivery;

#[async_trait]
impl Delivery for HeldDelivery {
    fn task(&self) -> &RawTask {
        self.held.task()
    }

    fn attempt(&self) -> u32 {
        self.held.attempt()
    }

    fn redelivered(&self) -> bool {
        self.held.redelivered()
    }

    fn is_held(&self) -> bool {
        self.held.is_held()
    }

    fn must_run_alone(&self) -> bool {
        self.held.must_run_alone()
    }

    async fn begin_alone(&self) -> Result<(), SettleError> {
        self.held.begin_alone().await
    }

    async fn ack(self: Box<Self>, outcome: &Outcome) -> Result<(), SettleError> {
        self.held.ack(outcome).await
    }

    async fn retry(
        self: Box<Self>,
        after: Duration,
        counted: bool,
        failure: Option<&Failure>,
    ) -> Result<(), SettleError> {
        self.held.retry(after, counted, failure).await
    }

    async fn dead_letter(self: Box<Self>, failure: &Failure) -> Result<(), SettleError> {
        self.held.dead_letter(failure).await
    }

    async fn give_back(self: Box<Self>) -> Result<(), SettleError> {
        self.held.give_back().await
    }

    async fn set_aside(self: Box<Self>) -> Result<(), SettleError> {
        self.held.set_aside().await
    }
}
