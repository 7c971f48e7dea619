//! Carries out what the domain decided about a delivery.

use aftercommit_domain::failure::Classified;
use aftercommit_domain::tasks::{Delivery, Outcome, SettleError, Verdict};
use metrics::Counter;
use tracing::Span;

use crate::worker::topic_metrics::word;

/// Settles `delivery` by `verdict`. A failure changes nothing: the task comes again when its lease expires. `span` tells
/// in the log which task it was.
pub(super) async fn carry_out(delivery: Box<dyn Delivery>, verdict: &Verdict, span: &Span, failures: &Counter) {
    let Err(error) = settle(delivery, verdict).await else {
        return;
    };
    failures.increment(1);
    let _entered = span.enter();
    match &error {
        SettleError::Stale => {
            tracing::info!(
                verdict = word(verdict),
                "the lease was lost before the task was settled; another worker has it"
            );
        }
        SettleError::Unavailable { .. } => {
            tracing::warn!(verdict = word(verdict), code = error.code(), %error, "a task was not settled and will come again");
        }
    }
}

async fn settle(delivery: Box<dyn Delivery>, verdict: &Verdict) -> Result<(), SettleError> {
    match verdict {
        Verdict::Finish(outcome) => {
            failpoint!(WORKER_BEFORE_SETTLE?);
            delivery.ack(outcome).await?;
            failpoint!(WORKER_AFTER_SETTLE?);
        }
        Verdict::Retry {
            after,
            counted,
            failure,
        } => {
            failpoint!(RETRY_BEFORE_SETTLE?);
            delivery.retry(*after, *counted, failure.as_ref()).await?;
            failpoint!(RETRY_AFTER_SETTLE?);
        }
        Verdict::DeadLetter(failure) => {
            failpoint!(DEAD_LETTER_BEFORE_SETTLE?);
            delivery.dead_letter(failure).await?;
            failpoint!(DEAD_LETTER_AFTER_SETTLE?);
        }
        Verdict::GiveBack => {
            failpoint!(GIVE_BACK_BEFORE_SETTLE?);
            delivery.give_back().await?;
            failpoint!(GIVE_BACK_AFTER_SETTLE?);
        }
        Verdict::SetAside => delivery.set_aside().await?,
    }
    Ok(())
}

/// One line for each attempt that did not simply succeed, at the level of the attention it needs. Within the attempt's
/// span, which says whose it was.
pub(super) fn log(verdict: &Verdict) {
    let outcome = word(verdict);
    match verdict {
        Verdict::Finish(Outcome::Completed) => tracing::debug!("task completed"),
        Verdict::Finish(Outcome::Skipped(reason) | Outcome::Cancelled(reason)) => {
            tracing::info!(%reason, "task {outcome}");
        }
        Verdict::Finish(Outcome::Snoozed(_))
        | Verdict::Retry { failure: None, .. }
        | Verdict::GiveBack
        | Verdict::SetAside => {
            tracing::debug!("task {outcome}");
        }
        Verdict::Retry {
            failure: Some(failure),
            after,
            counted,
        } => {
            let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(counted, after_ms, code = %failure.code, error = %failure, "task failed and will be tried again");
        }
        Verdict::DeadLetter(failure) => {
            tracing::error!(code = %failure.code, error = %failure, "task is dead");
        }
    }
}
