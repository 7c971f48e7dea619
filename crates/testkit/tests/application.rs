//! An application in memory does what it does in production, when the test says so.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of a test are tests themselves: what cannot be unwrapped fails them"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aftercommit_domain::catalogue;
use aftercommit_domain::contract::{Cause, OrganizationId, ProjectId, Tenant};
use aftercommit_domain::events::{DomainEvent, EventsPublisherExt, OutboxWriterExt, Routes, publish};
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{
    Outcome, Stop, Task, TaskContext, TaskHandler, TaskOptions, TaskResult, TaskState, completed, skipped,
};
use aftercommit_domain::time::{days, minutes, seconds};
use aftercommit_runtime::worker::Topic;
use aftercommit_testkit::TestApplication;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(name = "InvoicePaid", version = 1, aggregate = "invoice")]
struct InvoicePaid {
    organization_id: OrganizationId,
    project_id: ProjectId,
    #[aggregate_id]
    invoice_id: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Task)]
#[task(topic = "receipts", name = "send", version = 1, order_key = invoice_id)]
struct SendReceipt {
    organization_id: OrganizationId,
    project_id: ProjectId,
    invoice_id: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Task)]
#[task(topic = "letters", name = "print", version = 1)]
struct PrintLetter {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

fn paid(invoice_id: i64) -> InvoicePaid {
    InvoicePaid {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id,
    }
}

fn receipt(invoice_id: i64) -> SendReceipt {
    SendReceipt {
        organization_id: 7.into(),
        project_id: 8.into(),
        invoice_id,
    }
}

/// What a run of the handler answers, by the number of the run over all tasks, from 1.
type Answer = fn(u32) -> TaskResult;

/// Notes which invoices it was called for.
#[derive(Clone)]
struct Receipts {
    answer: Answer,
    runs: Arc<Mutex<Vec<i64>>>,
}

impl Receipts {
    fn that(answer: Answer) -> Self {
        Self {
            answer,
            runs: Arc::default(),
        }
    }

    fn runs(&self) -> Vec<i64> {
        self.runs.lock().unwrap().clone()
    }
}

#[async_trait]
impl TaskHandler<SendReceipt> for Receipts {
    async fn handle(&self, task: SendReceipt, _ctx: &TaskContext) -> TaskResult {
        let run = {
            let mut runs = self.runs.lock().unwrap();
            runs.push(task.invoice_id);
            u32::try_from(runs.len()).unwrap()
        };
        (self.answer)(run)
    }
}

fn failed() -> TaskResult {
    Err(Stop::Failed {
        failure: Failure::new("mail.refused", ErrorClass::Retryable, "the mail server says no"),
        retry_after: None,
    })
}

fn application(receipts: &Receipts) -> TestApplication {
    TestApplication::new()
        .events(catalogue![InvoicePaid])
        .routes(Routes::new().on(|paid: &InvoicePaid| publish(receipt(paid.invoice_id))))
        .topic(Topic::named("receipts").handle::<SendReceipt>(receipts.clone()))
}

/// What the guard says when `app` ends.
fn complaint(app: TestApplication) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| app.finish())).expect_err("something is left over");
    panic.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test]
async fn an_event_is_followed_by_its_tasks_and_only_when_the_application_is_run() {
    let receipts = Receipts::that(|_| completed());
    let app = application(&receipts);
    app.write(paid(9)).await;
    tokio::task::yield_now().await;
    assert_eq!(receipts.runs(), [0_i64; 0]);
    assert_eq!(app.events_of::<InvoicePaid>(), [paid(9)]);
    app.assert_not_published::<SendReceipt>();
    app.run_until_idle().await;
    assert_eq!(app.assert_published::<SendReceipt>(), [receipt(9)]);
    assert_eq!(receipts.runs(), [9]);
    assert_eq!(app.events_of::<InvoicePaid>(), [paid(9)], "it is the same event still");
    app.write(paid(10)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(receipts.runs(), [9], "the loops are there by now, and take nothing");
    app.run_until_idle().await;
    assert_eq!(receipts.runs(), [9, 10]);
    let outcomes = app.outcomes::<SendReceipt>();
    assert!(
        outcomes
            .iter()
            .all(|task| task.state == TaskState::Completed && task.attempts == 1)
    );
    app.finish();
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_is_followed_by_nothing() {
    let receipts = Receipts::that(|_| completed());
    let app = application(&receipts);
    let mut unit_of_work = app.kit().begin(&Tenant::project(7, 8), &Cause::root()).await.unwrap();
    unit_of_work.outbox().write(paid(9)).await.unwrap();
    drop(unit_of_work);
    app.run_until_idle().await;
    app.assert_not_published::<SendReceipt>();
    assert_eq!(app.events_of::<InvoicePaid>(), []);
}

#[tokio::test]
async fn an_event_of_the_direct_rail_is_followed_by_its_tasks_too() {
    let receipts = Receipts::that(|_| completed());
    let app = application(&receipts);
    let events = app.kit().events_publisher();
    let cause = Cause::root();
    events
        .publish_direct(app.kit().envelopes(), paid(9), &cause)
        .await
        .unwrap();
    app.run_until_idle().await;
    assert_eq!(app.events_of::<InvoicePaid>(), [paid(9)]);
    assert_eq!(receipts.runs(), [9]);
}

#[tokio::test]
async fn the_clock_jumps_to_what_is_due_next_or_stays_where_it_is() {
    let receipts = Receipts::that(|_| completed());
    let app = application(&receipts);
    let start = app.kit().now();
    app.publish_with(receipt(1), TaskOptions::delayed(days(30))).await;
    app.publish_with(receipt(2), TaskOptions::delayed(minutes(5))).await;
    app.run_due().await;
    assert_eq!((receipts.runs(), app.kit().now()), (vec![], start));
    app.advance(minutes(5)).await;
    assert_eq!(receipts.runs(), [2]);
    app.run_until_idle().await;
    assert_eq!(receipts.runs(), [2, 1]);
    assert_eq!((app.kit().now() - start).num_days(), 30);
}

#[tokio::test]
async fn a_handler_that_always_fails_ends_as_a_dead_letter_and_nobody_waits_for_it() {
    let receipts = Receipts::that(|_| failed());
    let app = application(&receipts);
    let (start, clock) = (Instant::now(), app.kit().now());
    app.write(paid(9)).await;
    app.run_until_idle().await;
    assert_eq!(receipts.runs().len(), 20);
    assert!(app.kit().now() - clock > chrono::Duration::hours(4), "the delays grew");
    assert!(start.elapsed() < Duration::from_mins(1));
    let letters = app.take_dead_letters();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].attempts, letters[0].failure.code.as_ref()),
        (20, "mail.refused")
    );
    app.finish();
}

#[tokio::test]
async fn a_handler_that_succeeds_the_third_time_has_three_runs_and_one_outcome() {
    let receipts = Receipts::that(|run| {
        if run < 3 {
            failed()
        } else {
            skipped("the invoice is gone")
        }
    });
    let app = application(&receipts);
    app.publish(receipt(9)).await;
    app.run_until_idle().await;
    let outcomes = app.outcomes::<SendReceipt>();
    let ends: Vec<_> = outcomes
        .iter()
        .map(|task| (task.state, task.attempts, task.reason.as_deref()))
        .collect();
    assert_eq!(ends, [(TaskState::Skipped, 3, Some("the invoice is gone"))]);
}

#[tokio::test]
async fn tasks_of_one_order_key_run_in_order_over_the_retries_of_the_first() {
    let receipts = Receipts::that(|run| if run < 4 { failed() } else { completed() });
    let app = application(&receipts);
    for _ in 0..3 {
        app.publish(receipt(9)).await;
    }
    app.run_until_idle().await;
    assert_eq!(receipts.runs().len(), 6);
    assert_eq!(
        app.outcomes::<SendReceipt>()
            .iter()
            .map(|task| task.attempts)
            .collect::<Vec<_>>(),
        [4, 1, 1]
    );
}

#[tokio::test]
async fn what_never_comes_to_rest_is_named() {
    let receipts = Receipts::that(|_| Ok(Outcome::Snoozed(seconds(90))));
    let app = application(&receipts);
    app.publish(receipt(9)).await;
    let busy = app.try_run_until_idle().await.unwrap_err().to_string();
    assert!(busy.contains("the clock jumped 1000 times"), "{busy}");
    assert!(busy.contains("task receipts/send") && busy.contains("in 90s"), "{busy}");
    app.leave_unfinished();
}

struct Stuck;

#[async_trait]
impl TaskHandler<SendReceipt> for Stuck {
    async fn handle(&self, _: SendReceipt, _: &TaskContext) -> TaskResult {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_named() {
    let app = TestApplication::new()
        .patience(Duration::from_millis(50))
        .topic(Topic::named("receipts").handle::<SendReceipt>(Stuck));
    app.publish(receipt(9)).await;
    let busy = app.try_run_until_idle().await.unwrap_err();
    assert_eq!(busy.waiting.len(), 1);
    assert!(
        busy.waiting[0].starts_with("task receipts/send ") && busy.waiting[0].ends_with(" runs"),
        "{busy}"
    );
    app.leave_unfinished();
}

#[tokio::test]
async fn a_test_that_leaves_work_over_fails_and_names_it() {
    let app = application(&Receipts::that(|_| completed()));
    app.write(paid(9)).await;
    let complaint_of_event = complaint(app);
    assert!(
        complaint_of_event.contains("event InvoicePaid "),
        "{complaint_of_event}"
    );
    assert!(
        complaint_of_event.contains(" waits in the outbox"),
        "{complaint_of_event}"
    );

    let app = application(&Receipts::that(|_| completed()));
    app.publish_with(receipt(9), TaskOptions::delayed(minutes(5))).await;
    app.run_due().await;
    let complaint_of_delay = complaint(app);
    assert!(complaint_of_delay.contains("task receipts/send ") && complaint_of_delay.contains("in 300s"));

    let app = application(&Receipts::that(|_| failed()));
    app.publish(receipt(9)).await;
    app.run_until_idle().await;
    let complaint_of_letter = complaint(app);
    assert!(
        complaint_of_letter.contains("dead letter receipts/send "),
        "{complaint_of_letter}"
    );
    assert!(
        complaint_of_letter.contains("after 20 attempts: the mail server says no"),
        "{complaint_of_letter}"
    );

    let app = application(&Receipts::that(|_| completed()));
    let letter = PrintLetter {
        organization_id: 7.into(),
        project_id: 8.into(),
    };
    app.publish(letter).await;
    app.run_until_idle().await;
    let complaint_of_topic = complaint(app);
    assert!(
        complaint_of_topic.contains("task letters/print "),
        "{complaint_of_topic}"
    );
    assert!(
        complaint_of_topic.contains("nothing here runs its topic"),
        "{complaint_of_topic}"
    );
}

#[tokio::test]
async fn what_does_not_fit_together_is_told_when_it_is_first_run() {
    let app = TestApplication::new().events(catalogue![InvoicePaid]);
    let running = AssertUnwindSafe(app.run_until_idle());
    let panic = futures::FutureExt::catch_unwind(running).await.unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("InvoicePaid has no route"), "{said}");
}

#[tokio::test]
async fn a_missing_publish_says_what_there_was_instead() {
    let app = application(&Receipts::that(|_| completed()));
    app.publish(receipt(9)).await;
    app.run_until_idle().await;
    let said = catch_unwind(AssertUnwindSafe(|| app.assert_published::<PrintLetter>())).unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert_eq!(said, "no letters/print was published; published was receipts/send");
}

/// Books each receipt once: claims it, and writes what follows in the same transaction.
#[derive(Clone)]
struct Bookkeeper {
    kit: aftercommit_testkit::TestKit,
    fails_after_commit: bool,
}

#[async_trait]
impl TaskHandler<SendReceipt> for Bookkeeper {
    async fn handle(&self, task: SendReceipt, ctx: &TaskContext) -> TaskResult {
        let mut unit_of_work = self.kit.begin(ctx.tenant(), ctx.cause()).await?;
        ctx.claim(&mut *unit_of_work.inbox()).await?;
        let letter = PrintLetter {
            organization_id: task.organization_id,
            project_id: task.project_id,
        };
        unit_of_work.outbox().publish(letter, TaskOptions::default()).await?;
        unit_of_work.commit().await?;
        if self.fails_after_commit { failed() } else { completed() }
    }
}

struct Printer;

#[async_trait]
impl TaskHandler<PrintLetter> for Printer {
    async fn handle(&self, _: PrintLetter, _: &TaskContext) -> TaskResult {
        completed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn handlers_are_built_with_the_kit_and_what_they_publish_is_run() {
    for fails_after_commit in [false, true] {
        let app = TestApplication::new().topics(|kit| {
            let kit = kit.clone();
            vec![
                Topic::named("receipts").handle::<SendReceipt>(Bookkeeper {
                    kit,
                    fails_after_commit,
                }),
                Topic::named("letters").handle::<PrintLetter>(Printer),
            ]
        });
        app.publish(receipt(9)).await;
        app.run_until_idle().await;
        assert_eq!(app.published::<PrintLetter>().len(), 1);
        assert_eq!(app.outcomes::<PrintLetter>().len(), 1);
        app.finish();
    }
}
