//! A task that runs here and may be told to end.

use std::sync::Arc;

use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{CancellationSignal, Reason};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::orders::Orders;

/// As long as it exists, orders about its task reach it.
pub(crate) struct RunningTask {
    orders: Arc<Orders>,
    task: MessageId,
    run: u64,
    token: CancellationToken,
}

impl RunningTask {
    pub(super) const fn new(orders: Arc<Orders>, task: MessageId, run: u64, token: CancellationToken) -> Self {
        Self {
            orders,
            task,
            run,
            token,
        }
    }

    /// Why it is not to be run any more, if so.
    pub(crate) fn is_cancelled(&self) -> Option<Reason> {
        self.token.is_cancelled().then(|| self.orders.reason(self.task))
    }

    /// Returns when it is not to be run any more.
    pub(crate) async fn cancelled(&self) {
        self.token.cancelled().await;
    }

    /// What its handler sees: an order, or a stop.
    pub(crate) fn signal(&self, stop: &CancellationToken) -> Arc<dyn CancellationSignal> {
        Arc::new(OrderedOrStopping {
            ordered: self.token.clone(),
            stopping: stop.clone(),
        })
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.orders.leave(self.task, self.run);
    }
}

struct OrderedOrStopping {
    ordered: CancellationToken,
    stopping: CancellationToken,
}

#[async_trait]
impl CancellationSignal for OrderedOrStopping {
    fn is_cancelled(&self) -> bool {
        self.ordered.is_cancelled() || self.stopping.is_cancelled()
    }

    async fn cancelled(&self) {
        tokio::select! {
            () = self.ordered.cancelled() => {}
            () = self.stopping.cancelled() => {}
        }
    }
}
