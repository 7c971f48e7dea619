//! A provider, its schedules, and whoever ticks.

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::contract::{Json, Limits, ScheduleKey, TaskName, Tenant};
use aftercommit_domain::events::{Claim, OutboxMessage};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    KeptSchedule, Misfire, Overlap, Schedule, ScheduleId, ScheduledTask, Schedules, Tick, TickOutcome, TickPlan,
    Timetable,
};
use aftercommit_domain::time::{Clock, Timestamp, seconds};

use crate::conformance::Provider;
use crate::conformance::messages::TOPIC;
use crate::conformance::support::{claim, message_of, ok, publish};

pub(super) const MINUTE: Duration = seconds(60);
pub(super) const GRACE: Duration = seconds(60);

/// A scenario at work. It starts on a full minute.
pub(super) struct Scene<'p, P> {
    pub(super) provider: &'p P,
    pub(super) schedules: Arc<dyn Schedules>,
}

/// What became of slots: the outcome and how many.
pub(super) type Seen = Vec<(TickOutcome, u64)>;

/// A schedule of the system for every minute.
pub(super) fn each_minute(key: &str) -> Schedule {
    schedule(key, "* * * * *")
}

/// A schedule of the system at these times.
pub(super) fn schedule(key: &str, cron: &str) -> Schedule {
    Schedule {
        id: id(key),
        timetable: Timetable {
            cron: cron.parse().expect("an expression of a scenario is valid"),
            zone: "UTC".parse().expect("there is UTC"),
        },
        misfire: Misfire::Once,
        overlap: Overlap::Allow,
        task: ScheduledTask {
            topic: TOPIC,
            task: TaskName::constant("send"),
            version: 1,
            payload: Json::parse(r#"{"letter":1}"#, &Limits::default()).expect("it is JSON"),
            order_key: None,
            coalescing: None,
        },
    }
}

pub(super) fn id(key: &str) -> ScheduleId {
    ScheduleId::system(ScheduleKey::new(key).expect("a key of a scenario is valid"))
}

/// The same of another tenant.
pub(super) fn of(tenant: Tenant, schedule: Schedule) -> Schedule {
    let key = schedule.id.key.clone();
    Schedule {
        id: ScheduleId { tenant, key },
        ..schedule
    }
}

impl<'p, P: Provider> Scene<'p, P> {
    pub(super) async fn begin(provider: &'p P) -> Self {
        let schedules = provider.schedules().expect("this provider keeps schedules");
        let scene = Self { provider, schedules };
        let past = u64::try_from(scene.now().timestamp_micros().rem_euclid(60_000_000)).unwrap_or_default();
        scene.advance(MINUTE.saturating_sub(Duration::from_micros(past))).await;
        scene
    }

    pub(super) fn now(&self) -> Timestamp {
        self.provider.services().clock.now()
    }

    pub(super) async fn advance(&self, by: Duration) {
        self.provider.advance(by).await;
    }

    pub(super) async fn put(&self, schedule: &Schedule) {
        ok("a schedule to be put", self.schedules.put(schedule)).await;
    }

    pub(super) async fn find(&self, id: &ScheduleId) -> Option<KeptSchedule> {
        ok("a schedule to be found", self.schedules.find(id)).await
    }

    pub(super) async fn kept(&self, id: &ScheduleId) -> KeptSchedule {
        self.find(id).await.expect("the schedule is there")
    }

    /// What is to become of everything that is due.
    pub(super) async fn plans(&self) -> Vec<TickPlan> {
        let due = ok("what is due", self.schedules.due(100)).await;
        due.schedules
            .iter()
            .filter_map(|kept| TickPlan::of(kept, due.now))
            .collect()
    }

    /// Ticks as a scheduler does. Answers what was recorded.
    pub(super) async fn tick(&self) -> Vec<Tick> {
        let mut ticks = Vec::new();
        for plan in self.plans().await {
            let ticked = ok("slots to be decided about", self.schedules.tick(plan)).await;
            ticks.extend(ticked.into_iter().flatten());
        }
        ticks
    }

    /// Ticks, and tells what became of how many slots.
    pub(super) async fn seen(&self) -> Seen {
        seen(&self.tick().await)
    }

    pub(super) async fn history(&self, id: &ScheduleId) -> Vec<Tick> {
        ok("the history", self.schedules.history(id, None)).await
    }

    /// The tasks in the outbox, oldest first, and the claims on them.
    async fn claimed(&self) -> Vec<(Claim, OutboxMessage)> {
        let rows = claim(&*self.provider.outbox(), 100).await;
        rows.iter().map(|row| (row.claim, message_of(row))).collect()
    }

    /// Takes everything from the outbox to the queue. Answers the tasks' ids.
    pub(super) async fn relay(&self) -> Vec<MessageId> {
        let (claims, messages): (Vec<Claim>, Vec<OutboxMessage>) = self.claimed().await.into_iter().unzip();
        let tasks = messages.into_iter().filter_map(|message| match message {
            OutboxMessage::Task(task) => Some(task),
            OutboxMessage::Event(_) => None,
        });
        let ids = publish(self.provider, tasks.collect()).await;
        if !claims.is_empty() {
            ok("rows to be marked", self.provider.outbox().mark_published(&claims)).await;
        }
        ids
    }

    /// The tasks in the outbox, which leave it.
    pub(super) async fn published(&self) -> Vec<aftercommit_domain::contract::TaskEnvelope> {
        let (claims, messages): (Vec<Claim>, Vec<OutboxMessage>) = self.claimed().await.into_iter().unzip();
        if !claims.is_empty() {
            ok("rows to be marked", self.provider.outbox().mark_published(&claims)).await;
        }
        let tasks = messages.into_iter().filter_map(|message| match message {
            OutboxMessage::Task(task) => Some(task),
            OutboxMessage::Event(_) => None,
        });
        tasks.collect()
    }
}

pub(super) fn seen(ticks: &[Tick]) -> Seen {
    ticks.iter().map(|tick| (tick.outcome, tick.slots)).collect()
}
