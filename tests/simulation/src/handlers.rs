//! What the workers of a world do: an effect outside, an effect through the inbox, and everything a plan says.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aftercommit_domain::events::OutboxWriterExt;
use aftercommit_domain::failure::{ErrorClass, Failure};
use aftercommit_domain::tasks::{Outcome, Stop, TaskContext, TaskHandler, TaskResult, completed, skipped};
use aftercommit_runtime::worker::Topic;
use async_trait::async_trait;
use tokio::time::sleep;

use crate::contracts::{ChangeRecorded, Errand, MailChange, RecordChange, RunJob, WriteNote};
use crate::counted::Counted;
use crate::plan::{Fate, Plan};
use crate::ports::{Ports, Transaction};

/// Runs the errands of one topic in one process.
struct Worker {
    ports: Ports,
    running: Arc<AtomicUsize>,
}

/// The topics of a process.
pub(crate) fn topics(ports: &Ports) -> Vec<Topic> {
    let worker = || Worker {
        ports: ports.clone(),
        running: Arc::default(),
    };
    vec![
        Topic::named("records").handle::<RecordChange>(worker()),
        Topic::named("mails").handle::<MailChange>(worker()),
        Topic::named("jobs").handle::<RunJob>(worker()),
        Topic::named("notes").handle::<WriteNote>(worker()),
    ]
}

#[async_trait]
impl<E: Errand> TaskHandler<E> for Worker {
    async fn handle(&self, errand: E, ctx: &TaskContext) -> TaskResult {
        let _running = self.one_more_running();
        let link = &self.ports.link;
        let ledger = &link.world.ledger;
        let (work, change) = (E::WORK, errand.change());
        let plan = match errand.plan() {
            plan if link.world.is_mended() && plan.fate() == Fate::Dead => Plan::Succeed,
            plan => plan,
        };
        ledger.ran(work, change, ctx.task_id());
        if *ctx.tenant() != change.tenant() {
            ledger.must_not(format!("tenancy: {work:?} of {change:?} ran for {}", ctx.tenant()));
        }
        self.think().await;
        let failed = |class| {
            Err(Stop::Failed {
                failure: Failure::new("planned", class, "the plan says so"),
                retry_after: None,
            })
        };
        let attempt = ctx.attempt();
        match plan {
            Plan::Fail(times) if attempt <= u32::from(times) => return failed(ErrorClass::Retryable),
            // Without the hook, which would print it.
            Plan::Panic(times) if attempt <= u32::from(times) => resume_unwind(Box::new("the plan says so")),
            Plan::Hang(times) if attempt <= u32::from(times) => std::future::pending().await,
            Plan::Snooze(times) if ledger.once_more(work, change, times) => {
                return Ok(Outcome::Snoozed(link.dice.millis(10, 3000)));
            }
            Plan::Kill(times) if ledger.once_more(work, change, times) => {
                link.world
                    .timeline
                    .fault(link.process, format_args!("a handler kills its process"));
                link.threads.die_here().await;
            }
            Plan::Skip => return skipped("the plan says so"),
            Plan::Refuse => return failed(ErrorClass::Permanent),
            Plan::FailAlways => return failed(ErrorClass::Retryable),
            _ => {}
        }
        ledger.did_outside(work, change);
        self.think().await;
        let mut transaction = Transaction::begin(&self.ports, ctx.tenant(), ctx.cause()).await?;
        let claimed = ctx.claim(&mut *transaction.inbox()).await;
        let fails_now = matches!(plan, Plan::FailAfterCommit(times) if attempt <= u32::from(times));
        match claimed {
            Err(Stop::Done) if fails_now => return failed(ErrorClass::Retryable),
            claimed => claimed?,
        }
        self.think().await;
        if let Some(note) = errand.follow() {
            let event = ChangeRecorded {
                organization_id: change.organization.into(),
                project_id: 1.into(),
                order: change.order,
                number: change.number,
                note: note.code(),
            };
            transaction.outbox().write(event).await?;
        }
        transaction.effect(work, change);
        transaction.commit().await?;
        if fails_now {
            failed(ErrorClass::Retryable)
        } else {
            completed()
        }
    }
}

impl Worker {
    /// Takes a moment, sometimes a long one.
    async fn think(&self) {
        let dice = &self.ports.link.dice;
        if dice.happens(300) {
            let time = if dice.happens(50) {
                dice.millis(100, 4000)
            } else {
                dice.millis(1, 40)
            };
            sleep(time).await;
        }
    }

    /// Counts a run for as long as it lasts.
    fn one_more_running(&self) -> Counted {
        let world = &self.ports.link.world;
        let counted = Counted::within(&self.running);
        let running = self.running.load(Ordering::Relaxed);
        let allowed = world.scenario.concurrency;
        if running > allowed {
            world.ledger.must_not(format!(
                "bounds: {running} handlers of a topic at once, {allowed} allowed"
            ));
        }
        counted
    }
}

/// Longer than any slow call of a handler alone.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);
