//! The inbox in transactions of any pool.

use std::time::Duration;

use aftercommit_domain::contract::Cause;
use aftercommit_domain::failure::{Classified as _, ErrorClass};
use aftercommit_domain::tasks::{Inbox as _, InboxClaim, InboxError, InboxMessage};
use aftercommit_domain::unit_of_work::UnitOfWork as _;
use aftercommit_platform_db_postgres::create_inbox;
use aftercommit_testkit::conformance::Messages;
use tokio::time::Instant;

use crate::processes::count;
use crate::rig::Rig;

/// How long a claim waits for a transaction that is open.
const WAITS: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_claimed_in_a_transaction_of_the_applications_own_and_leaves_it_as_it_was() {
    let rig = Rig::start().await;
    let task = Messages::new(&rig.services).task();
    let message = InboxMessage::of(&task);
    for (expected, commits) in [
        (InboxClaim::First, false),
        (InboxClaim::First, true),
        (InboxClaim::Seen, true),
    ] {
        let mut transaction = rig.direct.begin().await.unwrap();
        let claimed = create_inbox(&mut transaction, task.tenant.clone())
            .claim(&message)
            .await;
        assert_eq!(claimed.unwrap(), expected);
        let left: (Option<String>, String) = sqlx::query_as(
            "SELECT nullif(current_setting('aftercommit.scope', true), ''), current_setting('lock_timeout')",
        )
        .fetch_one(&mut *transaction)
        .await
        .unwrap();
        assert_eq!(
            left,
            (None, "0".to_owned()),
            "neither scope nor time limit is left behind"
        );
        if commits {
            transaction.commit().await.unwrap();
        }
    }
    // And a unit of work knows of it.
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut unit = units.begin_postgres(&task.tenant, &Cause::root()).await.unwrap();
    assert_eq!(unit.inbox().claim(&message).await.unwrap(), InboxClaim::Seen);
    drop(unit);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_waits_a_bounded_time_for_a_transaction_that_stays_open_and_is_no_failed_attempt() {
    let rig = Rig::start().await;
    let task = Messages::new(&rig.services).task();
    let message = InboxMessage::of(&task);
    let mut holder = rig.direct.begin().await.unwrap();
    let first = create_inbox(&mut holder, task.tenant.clone()).claim(&message).await;
    assert_eq!(first.unwrap(), InboxClaim::First);
    let units = rig.database.units_of_work(rig.services.envelopes.clone());
    let mut unit = units.begin_postgres(&task.tenant, &Cause::root()).await.unwrap();
    let asked = Instant::now();
    let error = unit.inbox().claim(&message).await.unwrap_err();
    let waited = asked.elapsed();
    assert!(matches!(error, InboxError::Busy { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Outage);
    assert!(waited >= WAITS, "{waited:?}");
    assert!(unit.commit().await.is_err(), "nothing of that transaction can be kept");
    holder.commit().await.unwrap();
    assert_eq!(count(&rig, "SELECT count(*) FROM aftercommit.inbox").await, 1);
    rig.stop().await;
}
