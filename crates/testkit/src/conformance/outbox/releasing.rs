//! Rows that were not published.

use aftercommit_domain::events::{Claimed, OutboxStats, QuarantinedRow, Release};
use aftercommit_domain::time::{hours, seconds};

use crate::conformance::Provider;
use crate::conformance::outbox::rows::{changed, commit_each, release, retry};
use crate::conformance::support::{claim, failure, ids_of, stats};

/// A row released untouched is claimable at once, with another token and no attempt counted.
pub async fn an_untouched_row_is_claimable_at_once_and_was_no_attempt<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a"]).await;
    let first = claim(&*outbox, 10).await;
    assert_eq!(release(&*outbox, &first[0], Release::Untouched).await, changed(1));
    let again = claim(&*outbox, 10).await;
    assert_eq!((ids_of(&again), again[0].attempts), (ids_of(&first), 0));
    assert_ne!(again[0].claim.token, first[0].claim.token);
}

/// Only counted retries count as attempts.
pub async fn only_counted_retries_count_as_attempts<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a"]).await;
    let mut attempts = Vec::new();
    for counted in [true, false, true, false] {
        let rows = claim(&*outbox, 10).await;
        attempts.push(rows[0].attempts);
        release(&*outbox, &rows[0], retry(seconds(1), counted)).await;
        provider.advance(seconds(2)).await;
    }
    attempts.push(claim(&*outbox, 10).await[0].attempts);
    assert_eq!(attempts, [0, 1, 1, 2, 2]);
}

/// The numbers tell what waits, is claimed and is quarantined, and since when the oldest is not published.
pub async fn the_numbers_tell_what_waits_is_claimed_and_is_quarantined<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    assert_eq!(stats(&*outbox).await.oldest, None);
    for aggregate in ["a", "b", "c", "d"] {
        commit_each(provider, &[aggregate]).await;
        provider.advance(seconds(1)).await;
    }
    let rows = claim(&*outbox, 3).await;
    let written: Vec<_> = rows.iter().map(|row| row.written_at).collect();
    assert!(
        written.is_sorted() && written[0] < written[2],
        "rows say when they were written"
    );
    release(&*outbox, &rows[0], Release::Quarantine { failure: failure() }).await;
    release(&*outbox, &rows[1], retry(hours(1), true)).await;
    let expected = OutboxStats {
        waiting: 2,
        claimed: 1,
        quarantined: 1,
        oldest: Some(written[1]),
    };
    assert_eq!(stats(&*outbox).await, expected);
}

/// Quarantined rows are listed with what they hold and why, the newest first.
pub async fn quarantined_rows_are_listed_with_their_reason_the_newest_first<P: Provider>(provider: &P) {
    let outbox = provider.outbox();
    commit_each(provider, &["a", "b", "c"]).await;
    let rows = claim(&*outbox, 3).await;
    for row in &rows[..2] {
        release(&*outbox, row, Release::Quarantine { failure: failure() }).await;
    }
    let aside = |row: &Claimed| QuarantinedRow {
        written_at: row.written_at,
        message: row.message.clone(),
        reason: failure().to_string(),
    };
    let all = outbox.quarantined(10).await.expect("listed");
    assert_eq!(all, [aside(&rows[1]), aside(&rows[0])]);
    assert_eq!(outbox.quarantined(1).await.expect("listed"), [aside(&rows[1])]);
}
