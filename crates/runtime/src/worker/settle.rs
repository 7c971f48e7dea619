//! Carries out what the domain decided about a delivery.

use aftercommit_domain::failure::Classified;
use aftercommit_domain::tasks::{Delivery, SettleError, Verdict};
use metrics::Counter;
use tracing::Span;

use crate::worker::topic_metrics::word;

/// Settles `delivery` by `verdict`. A failure changes nothing: the task comes again when its lease expires. `span` tells
/// in the log which task it was.
pub(super) async fn carry_out(delivery: Box<dyn Delivery>, verdict: &Verdict, span: &Span, failures: &Counter) {
    let settled = match verdict {
        Verdict::Finish(outcome) => delivery.ack(outcome).await,
        Verdict::Retry {
            after,
            counted,
            failure,
        } => delivery.retry(*after, *counted, failure.as_ref()).await,
        Verdict::DeadLetter(failure) => delivery.dead_letter(failure).await,
        Verdict::GiveBack => delivery.give_back().await,
    };
    let Err(error) = settled else { return };
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
