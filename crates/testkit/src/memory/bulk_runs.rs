//! What operators ordered for many.

use std::time::Duration;

use aftercommit_domain::bulk::{BEGIN_AGAIN_WITHIN, BegunBulkRun, BulkRun, BulkRuns, BulkRunsError, TakenBulkRun};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::time::{Timestamp, after, before};
use async_trait::async_trait;

use super::{InMemory, list_limit};

/// The runs, oldest first.
#[derive(Default)]
pub(super) struct Runs {
    runs: Vec<Kept>,
    tokens: i64,
}

struct Kept {
    run: BulkRun,
    /// Who has it, and until when.
    taken: Option<(i64, Timestamp)>,
}

#[async_trait]
impl BulkRuns for InMemory {
    async fn begin(&self, run: BulkRun) -> Result<BegunBulkRun, BulkRunsError> {
        let now = self.now();
        let recent = before(now, BEGIN_AGAIN_WITHIN);
        let mut state = self.lock();
        let runs = state.bulk.runs.iter().map(|kept| &kept.run);
        if let Some(same) = runs.clone().find(|kept| kept.id == run.id) {
            if same.request != run.request {
                return Err(BulkRunsError::OtherRequest { id: run.id });
            }
            return Ok(BegunBulkRun {
                run: same.clone(),
                goes_on: true,
            });
        }
        let unfinished = |kept: &&BulkRun| kept.is_going() && kept.request == run.request && kept.stepped_at >= recent;
        if let Some(same) = runs.rev().find(unfinished) {
            return Ok(BegunBulkRun {
                run: same.clone(),
                goes_on: true,
            });
        }
        let run = BulkRun {
            begun_at: now,
            stepped_at: now,
            next_at: now,
            ..run
        };
        state.bulk.runs.push(Kept {
            run: run.clone(),
            taken: None,
        });
        Ok(BegunBulkRun { run, goes_on: false })
    }

    async fn find(&self, id: MessageId) -> Result<Option<BulkRun>, BulkRunsError> {
        let state = self.lock();
        let found = state.bulk.runs.iter().find(|kept| kept.run.id == id);
        Ok(found.map(|kept| kept.run.clone()))
    }

    async fn list(&self, limit: Option<u32>) -> Result<Vec<BulkRun>, BulkRunsError> {
        let state = self.lock();
        let newest_first = state.bulk.runs.iter().rev().map(|kept| kept.run.clone());
        Ok(newest_first.take(list_limit(limit)).collect())
    }

    async fn take(&self, id: MessageId, lease: Duration) -> Result<Option<TakenBulkRun>, BulkRunsError> {
        let now = self.now();
        let mut state = self.lock();
        state.bulk.tokens += 1;
        let token = state.bulk.tokens;
        let free = |kept: &&mut Kept| {
            kept.run.id == id && kept.run.is_going() && kept.taken.is_none_or(|(_, until)| until <= now)
        };
        Ok(state.bulk.runs.iter_mut().find(free).map(|kept| {
            kept.taken = Some((token, after(now, lease)));
            TakenBulkRun {
                run: kept.run.clone(),
                token,
                now,
            }
        }))
    }

    async fn put_back(&self, taken: TakenBulkRun) -> Result<bool, BulkRunsError> {
        let now = self.now();
        let mut state = self.lock();
        let own =
            |kept: &&mut Kept| kept.run.id == taken.run.id && kept.taken.is_some_and(|(token, _)| token == taken.token);
        let Some(kept) = state.bulk.runs.iter_mut().find(own) else {
            return Ok(false);
        };
        kept.run = BulkRun {
            begun_at: kept.run.begun_at,
            stepped_at: now,
            ..taken.run
        };
        kept.taken = None;
        Ok(true)
    }

    async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, BulkRunsError> {
        let mut state = self.lock();
        let mut left = u64::from(limit);
        let had = left;
        state.bulk.runs.retain(|kept| {
            let is_old = left > 0 && kept.run.stepped_at < before;
            left -= u64::from(is_old);
            !is_old
        });
        Ok(had - left)
    }
}
