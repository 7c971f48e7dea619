//! Short ways to do usual things with outbox rows.

use std::time::Duration;

use aftercommit_domain::events::{Claim, Claimed, Marked, Outbox, Release};
use aftercommit_domain::ids::MessageId;

use crate::conformance::support::{PAST_LEASE, commit, failure, ok};
use crate::conformance::{Messages, Provider};

pub(super) fn claims(rows: &[Claimed]) -> Vec<Claim> {
    rows.iter().map(|row| row.claim).collect()
}

pub(super) async fn mark(outbox: &dyn Outbox, rows: &[Claimed]) -> Marked {
    ok("rows to be marked", outbox.mark_published(&claims(rows))).await
}

pub(super) async fn release(outbox: &dyn Outbox, row: &Claimed, release: Release) -> Marked {
    ok("a row to be released", outbox.release(vec![(row.claim, release)])).await
}

pub(super) fn retry(after: Duration, counted: bool) -> Release {
    Release::Retry {
        after,
        counted,
        failure: failure(),
    }
}

pub(super) fn changed(number: u64) -> Marked {
    Marked {
        changed: number,
        stale: 0,
    }
}

pub(super) fn stale(number: u64) -> Marked {
    Marked {
        changed: 0,
        stale: number,
    }
}

/// Lets every lease end and frees the rows. Answers how many were freed.
pub(super) async fn lose_leases<P: Provider>(provider: &P) -> u64 {
    provider.advance(PAST_LEASE).await;
    ok("lost rows to be freed", provider.outbox().rescue_expired()).await
}

/// Commits one event for each aggregate, one transaction each. Answers their ids.
pub(super) async fn commit_each<P: Provider>(provider: &P, aggregates: &[&str]) -> Vec<MessageId> {
    let messages = Messages::new(provider.services());
    let mut ids = Vec::new();
    for aggregate in aggregates {
        let row = messages.row(aggregate);
        ids.push(row.id());
        commit(provider, vec![row]).await;
    }
    ids
}
