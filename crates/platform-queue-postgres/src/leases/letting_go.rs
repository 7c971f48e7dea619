//! Deliveries that nobody has any more although their consumer lives: freed when their lease is over.

use aftercommit_domain::time::Timestamp;

use crate::leases::Leases;
use crate::queue::consumer::Consumer;
use crate::statement::Trouble;
use crate::topics::lock;

/// A delivery that nobody has any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetGo {
    seq: i64,
    token: i64,
    until: Timestamp,
    /// Whether a run was lost: it was handed out, and never settled.
    is_lost: bool,
}

impl Leases {
    /// A delivery was dropped unsettled, or its end could not be written. It comes again when its lease is over.
    pub(crate) fn let_go(&self, consumer: &Consumer, seq: i64, token: i64, is_lost: bool) {
        let until = aftercommit_domain::time::after(self.clock.now(), consumer.lease);
        lock(&self.let_go).push(LetGo {
            seq,
            token,
            until,
            is_lost,
        });
    }

    /// Frees what was let go a lease ago. Answers how many tasks.
    pub(crate) async fn free_let_go(&self) -> Result<u64, Trouble> {
        let now = self.clock.now();
        let over: Vec<LetGo> = lock(&self.let_go)
            .extract_if(.., |let_go| let_go.until <= now)
            .collect();
        if over.is_empty() {
            return Ok(0);
        }
        let lines = over.iter().map(|let_go| (let_go.seq, let_go.token, let_go.is_lost));
        match self.lost_runs.free(&self.statements, lines, &self.topics).await {
            Ok(freed) => Ok(freed),
            Err(trouble) => {
                // Freed twice is freed once: the second time its token fits nothing.
                if trouble.may_pass() {
                    lock(&self.let_go).extend(over);
                }
                Err(trouble)
            }
        }
    }
}
