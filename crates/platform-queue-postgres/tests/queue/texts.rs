//! Texts that PostgreSQL does not keep as they are.

use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{DeadLetterFilter, DeadLetters as _, Outcome, Reason};
use aftercommit_platform_db_postgres::ReplayInto;
use aftercommit_testkit::conformance::support::{next, ok};

use crate::rig::Rig;

#[tokio::test]
async fn a_reason_with_a_zero_byte_does_not_keep_a_task_from_ending() {
    let rig = Rig::start().await;
    rig.process.publish(rig.messages().tasks(3)).await;
    let mut deliveries = rig.process.consume(3).await;
    let mut failure = Failure::new("a\0code".to_owned(), ErrorClass::Permanent, "a\0message");
    failure.message = "a\0message".into();
    failure.chain = vec!["a\0source".into()];
    let skipped = next(&mut deliveries, "a task").await;
    ok("a skip", skipped.ack(&Outcome::Skipped(Reason::new("a\0reason")))).await;
    let dead = next(&mut deliveries, "a task").await;
    ok("a dead letter", dead.dead_letter(&failure)).await;
    let again = next(&mut deliveries, "a task").await;
    ok(
        "a retry",
        again.retry(std::time::Duration::from_mins(1), true, Some(&failure)),
    )
    .await;
    let letters = rig.process.database.dead_letters(ReplayInto::Outbox);
    let letters = letters.list(&DeadLetterFilter::default()).await.unwrap();
    assert_eq!(letters[0].failure.message, "a message");
    assert_eq!(letters[0].failure.chain, ["a source"]);
    rig.stop().await;
}
