//! The way from a process to the store: slow, and not to be trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aftercommit_testkit::InMemory;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::dice::Dice;
use crate::scenario::CallFault;
use crate::threads::Threads;
use crate::world::World;

/// The way from a process to the store.
pub(crate) struct Link {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
    pub(crate) threads: Arc<Threads>,
    /// The store, as this process reaches it.
    pub(crate) store: InMemory,
    pub(crate) dice: Dice,
    /// Nothing passes before this millisecond.
    cut_until: AtomicU64,
}

/// How one call goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    pub(crate) there: Duration,
    pub(crate) back: Duration,
    pub(crate) fault: Option<CallFault>,
}

/// What kind of call it is, which decides what can go wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The caller waits for as long as it takes.
    Patient,
    /// The caller has a deadline.
    Impatient,
    /// The same, for tasks on their way to the queue.
    Publish,
}

impl Link {
    pub(crate) fn new(world: Arc<World>, process: usize, threads: Arc<Threads>) -> Self {
        let dice = Dice::new(world.dice.draw());
        Self {
            store: world.store.new_process(),
            world,
            process,
            threads,
            dice,
            cut_until: AtomicU64::new(0),
        }
    }

    /// Nothing passes for a while.
    pub(crate) fn cut(&self, time: Duration) {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = self.world.timeline.millis().saturating_add(time);
        self.cut_until.store(until, Ordering::Relaxed);
    }

    pub(crate) fn is_cut(&self) -> bool {
        !self.world.is_healed() && self.world.timeline.millis() < self.cut_until.load(Ordering::Relaxed)
    }

    /// A call, on a way on which it may be lost, and its answer too.
    pub(crate) async fn call<T, E>(
        self: &Arc<Self>,
        kind: Kind,
        what: &'static str,
        call: impl Future<Output = Result<T, E>> + Send,
        lost: impl Fn() -> E + Send,
    ) -> Result<T, E> {
        let course = self.course(kind, what);
        self.go(course).await;
        match course.fault {
            Some(CallFault::Refuse) => return Err(lost()),
            Some(CallFault::Hang) => std::future::pending().await,
            _ if self.is_cut() => return Err(lost()),
            _ => {}
        }
        let answer = call.await;
        self.world
            .timeline
            .step(self.process, what, if answer.is_ok() { "ok" } else { "failed" }, 0);
        self.come_back(course).await;
        if answer.is_ok() && (course.fault == Some(CallFault::LoseReply) || self.is_cut()) {
            return Err(lost());
        }
        answer
    }

    /// How the next call goes.
    pub(crate) fn course(&self, kind: Kind, what: &'static str) -> Course {
        let fault = self.fault(kind);
        if let Some(fault) = fault {
            self.world
                .timeline
                .fault(self.process, format_args!("{what}: {fault:?}"));
        }
        let slow = |is: bool| match is {
            true => self.dice.millis(500, 6000),
            false if self.dice.happens(400) => Duration::ZERO,
            false => self.dice.millis(1, 12),
        };
        let is_slow = fault == Some(CallFault::Slow);
        let slow_back = is_slow && self.dice.happens(500);
        Course {
            there: slow(is_slow && !slow_back),
            back: slow(slow_back),
            fault,
        }
    }

    fn fault(&self, kind: Kind) -> Option<CallFault> {
        let scenario = &self.world.scenario;
        // Of all calls, publishing has the most ways to go wrong.
        let times = if kind == Kind::Publish { 3 } else { 1 };
        if self.world.is_healed() || !self.dice.happens(scenario.call_faults * times) {
            return None;
        }
        let fault = self.dice.pick(&scenario.calls)?;
        let fits = match fault {
            CallFault::Refuse
            | CallFault::LoseReply
            | CallFault::Slow
            | CallFault::DieBefore
            | CallFault::DieAfter
            | CallFault::StandStillBefore
            | CallFault::StandStillAfter
            | CallFault::CutBefore
            | CallFault::CutAfter => true,
            CallFault::Hang => kind != Kind::Patient,
            CallFault::Late | CallFault::Twice | CallFault::Partly | CallFault::RefuseSome | CallFault::Full => {
                kind == Kind::Publish
            }
        };
        fits.then_some(fault)
    }

    /// The way there, with what happens to the process on it.
    pub(crate) async fn go(self: &Arc<Self>, course: Course) {
        travel(course.there).await;
        match course.fault {
            Some(CallFault::DieBefore) => self.threads.die_here().await,
            Some(CallFault::StandStillBefore) => self.stand_still_here().await,
            Some(CallFault::CutBefore) => self.cut(self.dice.millis(100, 5000)),
            _ => {}
        }
    }

    /// The way back, with what happens to the process on it.
    pub(crate) async fn come_back(self: &Arc<Self>, course: Course) {
        match course.fault {
            Some(CallFault::DieAfter) => self.threads.die_here().await,
            Some(CallFault::StandStillAfter) => self.stand_still_here().await,
            Some(CallFault::CutAfter) => self.cut(self.dice.millis(100, 5000)),
            _ => {}
        }
        travel(course.back).await;
    }

    /// The process stands still for `time`: it does nothing, and its leases run out.
    pub(crate) async fn stand_still(&self, time: Duration) {
        self.threads.stand_still();
        self.store.suspend();
        sleep(time).await;
        self.store.resume();
        self.world.timeline.fault(self.process, format_args!("it goes on"));
        self.threads.go_on();
    }

    /// The same, from within.
    #[expect(
        clippy::disallowed_methods,
        reason = "what ends the standstill is outside of the process"
    )]
    async fn stand_still_here(self: &Arc<Self>) {
        let time = self.dice.millis(500, 25_000);
        self.world
            .timeline
            .fault(self.process, format_args!("it stands still for {time:?}"));
        let link = Arc::clone(self);
        tokio::spawn(async move { link.stand_still(time).await });
        self.threads.stand_still();
        // Nothing of the process comes back from here before it goes on.
        yield_now().await;
    }
}

async fn travel(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
