//! What `docs/guides/shape-work.md` shows, each row run on a SQLite file.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::error::Error;
use std::time::Duration;

use aftercommit::config::Settings;
use aftercommit::domain::contract::ScheduleKey;
use aftercommit::domain::tasks::{NewPause, PauseTarget, Reason, ScheduleId};
use aftercommit::domain::time::after;
use aftercommit::prelude::*;
use aftercommit::{Kit, Running};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

const QUIET: Duration = Duration::from_secs(1);

type Done = Result<(), Box<dyn Error + Send + Sync>>;

/// However many edits come, they are one refresh a second after the last, or ten seconds after the first.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "refresh", version = 1)]
#[coalesce(debounce(quiet = "1s", max_wait = "10s"), key = record_id)]
struct RefreshRecord {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
    revision: i64,
}

/// Whatever else is done about a record.
#[derive(Serialize, Deserialize, Task)]
#[task(topic = "search-index", name = "work", version = 1)]
struct Work {
    organization_id: OrganizationId,
    project_id: ProjectId,
    record_id: i64,
}

fn refresh(record_id: i64, revision: i64) -> RefreshRecord {
    RefreshRecord {
        organization_id: 7.into(),
        project_id: 8.into(),
        record_id,
        revision,
    }
}

fn work(record_id: i64) -> Work {
    Work {
        organization_id: 7.into(),
        project_id: 8.into(),
        record_id,
    }
}

async fn edited(kit: &Kit, record_id: i64, revision: i64) -> Done {
    let (queue, options) = (kit.queue_publisher(), TaskOptions::default());
    queue
        .publish_task(kit.envelopes(), refresh(record_id, revision), options, &Cause::root())
        .await?;
    Ok(())
}

async fn publish_as(kit: &Kit, record_id: i64, options: TaskOptions) -> Done {
    kit.queue_publisher()
        .publish_task(kit.envelopes(), work(record_id), options, &Cause::root())
        .await?;
    Ok(())
}

/// The publisher fires for ever, whatever became of the last time: nothing piles up behind workers that are away.
async fn tick(kit: &Kit) -> Done {
    publish_as(kit, 1, TaskOptions::coalesced(Coalescing::while_pending("tick"))).await
}

/// Nor does a second one run beside the first.
async fn tick_alone(kit: &Kit) -> Done {
    let policy = Coalescing::while_active("tick", WhenActive::Skip);
    publish_as(kit, 1, TaskOptions::coalesced(policy)).await
}

/// The second click of the same form is dropped, also when the first is done by then.
async fn clicked(kit: &Kit, form: &str, record_id: i64) -> Done {
    let policy = Coalescing::once(form, minutes(10));
    publish_as(kit, record_id, TaskOptions::coalesced(policy)).await
}

/// The first of a day is sent at once, and no other one that day.
async fn daily_mail(kit: &Kit, member: i64) -> Done {
    let policy = Coalescing::once(member, days(1));
    publish_as(kit, member, TaskOptions::coalesced(policy)).await
}

/// All of some time are one, with the last of them, that long after the first.
async fn digest(kit: &Kit, record_id: i64) -> Done {
    let policy = Coalescing::latest_throttle("digest", Duration::from_millis(400));
    publish_as(kit, record_id, TaskOptions::coalesced(policy)).await
}

/// What comes while it runs makes one more run after it, with the last of them.
async fn synchronize(kit: &Kit, record_id: i64) -> Done {
    let policy = Coalescing::while_active("sync", WhenActive::RunAgainOnce);
    publish_as(kit, record_id, TaskOptions::coalesced(policy)).await
}

/// One reminder waits for each record; a later call changes what it says and when it comes.
async fn remind(kit: &Kit, record_id: i64, wait: Duration) -> Done {
    let options = TaskOptions {
        delay: Some(wait),
        ..TaskOptions::coalesced(Coalescing::replace("reminder"))
    };
    publish_as(kit, record_id, options).await
}

/// Later, and nothing else.
async fn later(kit: &Kit, record_id: i64, wait: Duration) -> Done {
    publish_as(kit, record_id, TaskOptions::delayed(wait)).await
}

/// What waits is cancelled in the transaction of the change that makes it pointless.
async fn forget_reminder(kit: &Kit) -> Done {
    let tenant = Tenant::project(7, 8);
    let mut unit = kit.begin(&tenant, &Cause::root()).await?;
    let key = TaskKey::of::<Work>(&tenant, "reminder");
    unit.windows().cancel(&key, &Reason::new("it was answered")).await?;
    unit.commit().await?;
    Ok(())
}

/// What waits is moved in the transaction of the change.
async fn remind_now(kit: &Kit) -> Done {
    let tenant = Tenant::project(7, 8);
    let mut unit = kit.begin(&tenant, &Cause::root()).await?;
    let key = TaskKey::of::<Work>(&tenant, "reminder");
    unit.windows().move_to(&key, kit.clock().now()).await?;
    unit.commit().await?;
    Ok(())
}

/// Every Friday at nine, on the clocks of Berlin, whatever they are set to.
async fn every_friday(kit: &Kit) -> Done {
    let schedule = Schedule::declare("weekly-report", "0 9 * * FRI")
        .zone("Europe/Berlin")
        .publishes(&work(4))?;
    let mut unit = kit.begin(&Tenant::project(7, 8), &Cause::root()).await?;
    unit.schedules().put(&schedule).await?;
    unit.commit().await?;
    Ok(())
}

/// Nothing of a tenant's is run for an hour, unless somebody resumes it before; what is published meanwhile waits.
async fn rest(kit: &Kit, organization: &str) -> Done {
    let pause = NewPause {
        target: PauseTarget::Organization(OrganizationId::new(organization)?),
        reason: Reason::new("they asked for it"),
        actor: "support".into(),
        until: Some(after(kit.clock().now(), hours(1))),
    };
    kit.pauses().pause(&pause).await?;
    Ok(())
}

/// An application on a file of its own, and what runs in it: the numbers of records and revisions.
struct Desk {
    kit: Kit,
    running: Running,
    runs: UnboundedReceiver<i64>,
    release: tokio::sync::watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

#[derive(Clone)]
struct Handlers {
    runs: UnboundedSender<i64>,
    released: tokio::sync::watch::Receiver<bool>,
}

#[async_trait]
impl TaskHandler<RefreshRecord> for Handlers {
    async fn handle(&self, task: RefreshRecord, _ctx: &TaskContext) -> TaskResult {
        self.runs.send(task.revision).retryable()?;
        completed()
    }
}

#[async_trait]
impl TaskHandler<Work> for Handlers {
    async fn handle(&self, task: Work, _ctx: &TaskContext) -> TaskResult {
        self.runs.send(task.record_id).retryable()?;
        self.released.clone().wait_for(|released| *released).await.retryable()?;
        completed()
    }
}

/// No window and no delay of these tests is longer, but those that are not to end in them.
const LONGEST_WAIT: Duration = QUIET;

impl Desk {
    /// Runs of `Work` end as soon as they are [released](Self::release).
    async fn held() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (runs_of, runs) = unbounded_channel();
        let (release, released) = tokio::sync::watch::channel(false);
        let handlers = Handlers {
            runs: runs_of,
            released,
        };
        let data = directory.path().join("data").to_str().unwrap().to_owned();
        let settings = Settings::from_sources([("AFTERCOMMIT_DATA_DIR".to_owned(), data)], None).unwrap();
        let topic = Topic::named("search-index")
            .concurrency(1)
            .handle::<RefreshRecord>(handlers.clone())
            .handle::<Work>(handlers);
        let opened = Aftercommit::from_env().topic(topic).open(settings).await.unwrap();
        Self {
            kit: opened.kit().clone(),
            running: opened.start(),
            runs,
            release,
            _directory: directory,
        }
    }

    async fn open() -> Self {
        let desk = Self::held().await;
        desk.release();
        desk
    }

    fn release(&self) {
        self.release.send(true).unwrap();
    }

    async fn next(&mut self) -> i64 {
        let run = timeout(Duration::from_secs(20), self.runs.recv()).await;
        run.unwrap().unwrap()
    }

    /// Nothing else was to run: one that comes when the longest wait of these tests is over is the next.
    async fn nothing_else(mut self) {
        later(&self.kit, -1, 2 * LONGEST_WAIT).await.unwrap();
        assert_eq!(self.next().await, -1);
        self.running.stop().await;
    }
}

#[tokio::test]
async fn edits_that_do_not_pause_are_one_refresh_with_the_last_once_they_do() {
    let mut desk = Desk::open().await;
    // Longer than the quiet time: what would run so long after the first would have run.
    let (began, mut revision) = (Instant::now(), 0);
    let mut pace = tokio::time::interval(QUIET / 20);
    while began.elapsed() < QUIET * 2 {
        pace.tick().await;
        revision += 1;
        edited(&desk.kit, 1, revision).await.unwrap();
    }
    let last = Instant::now();
    assert_eq!(desk.next().await, revision);
    // The store's clock counts whole milliseconds, and the last publish had its time before it was answered.
    assert!(last.elapsed() >= QUIET.mul_f32(0.8), "{:?}", last.elapsed());
    desk.nothing_else().await;
}

#[tokio::test]
async fn a_publisher_that_fires_for_ever_leaves_one_waiting() {
    let mut desk = Desk::held().await;
    tick(&desk.kit).await.unwrap();
    assert_eq!(desk.next().await, 1);
    // While the only handler is busy, a hundred wait as one.
    for _ in 0..100 {
        tick(&desk.kit).await.unwrap();
    }
    desk.release();
    assert_eq!(desk.next().await, 1);
    desk.nothing_else().await;
}

#[tokio::test]
async fn a_publisher_that_fires_for_ever_need_not_lead_to_two_runs_at_once() {
    let mut desk = Desk::held().await;
    tick_alone(&desk.kit).await.unwrap();
    assert_eq!(desk.next().await, 1);
    for _ in 0..100 {
        tick_alone(&desk.kit).await.unwrap();
    }
    desk.release();
    desk.nothing_else().await;
}

#[tokio::test]
async fn a_second_click_is_dropped() {
    let mut desk = Desk::open().await;
    clicked(&desk.kit, "form 5", 1).await.unwrap();
    assert_eq!(desk.next().await, 1);
    clicked(&desk.kit, "form 5", 1).await.unwrap();
    clicked(&desk.kit, "form 6", 2).await.unwrap();
    assert_eq!(desk.next().await, 2);
    desk.nothing_else().await;
}

#[tokio::test]
async fn a_member_gets_one_mail_a_day() {
    let mut desk = Desk::open().await;
    for _ in 0..3 {
        daily_mail(&desk.kit, 1).await.unwrap();
    }
    assert_eq!(desk.next().await, 1);
    daily_mail(&desk.kit, 1).await.unwrap();
    desk.nothing_else().await;
}

#[tokio::test]
async fn all_of_some_time_are_one_with_the_last() {
    let mut desk = Desk::open().await;
    for record_id in 1..=5 {
        digest(&desk.kit, record_id).await.unwrap();
    }
    assert_eq!(desk.next().await, 5);
    desk.nothing_else().await;
}

#[tokio::test]
async fn what_comes_while_it_runs_is_one_more_run() {
    let mut desk = Desk::held().await;
    synchronize(&desk.kit, 1).await.unwrap();
    assert_eq!(desk.next().await, 1);
    for record_id in 2..=5 {
        synchronize(&desk.kit, record_id).await.unwrap();
    }
    desk.release();
    assert_eq!(desk.next().await, 5);
    desk.nothing_else().await;
}

#[tokio::test]
async fn what_waits_is_replaced_moved_and_cancelled() {
    let mut desk = Desk::open().await;
    remind(&desk.kit, 1, hours(1)).await.unwrap();
    remind(&desk.kit, 2, Duration::from_millis(100)).await.unwrap();
    assert_eq!(desk.next().await, 2);
    remind(&desk.kit, 3, hours(1)).await.unwrap();
    remind_now(&desk.kit).await.unwrap();
    assert_eq!(desk.next().await, 3);
    remind(&desk.kit, 4, Duration::from_millis(300)).await.unwrap();
    forget_reminder(&desk.kit).await.unwrap();
    later(&desk.kit, 5, Duration::from_millis(400)).await.unwrap();
    assert_eq!(desk.next().await, 5);
    desk.nothing_else().await;
}

#[tokio::test]
async fn a_publish_may_be_a_task_of_its_own_whatever_the_contract_says() {
    let mut desk = Desk::open().await;
    edited(&desk.kit, 1, 1).await.unwrap();
    let options = TaskOptions {
        coalescing: aftercommit::domain::tasks::Coalesce::Never,
        ..TaskOptions::default()
    };
    let (queue, envelopes) = (desk.kit.queue_publisher(), desk.kit.envelopes());
    queue
        .publish_task(envelopes, refresh(1, 2), options, &Cause::root())
        .await
        .unwrap();
    assert_eq!((desk.next().await, desk.next().await), (2, 1));
    desk.nothing_else().await;
}

#[tokio::test]
async fn what_comes_back_every_week_has_its_next_time_on_the_clocks_of_its_zone() {
    let mut desk = Desk::open().await;
    every_friday(&desk.kit).await.unwrap();
    let id = ScheduleId {
        tenant: Tenant::project(7, 8),
        key: ScheduleKey::new("weekly-report").unwrap(),
    };
    let kept = desk.kit.schedules().find(&id).await.unwrap().unwrap();
    let next = kept.next_slot.unwrap().to_string();
    // Nine o'clock there, in winter and in summer.
    assert!(
        next.ends_with(" 08:00:00 UTC") || next.ends_with(" 07:00:00 UTC"),
        "{next}"
    );
    desk.kit.schedules().run_now(&id, "a test").await.unwrap().unwrap();
    assert_eq!(desk.next().await, 4);
    desk.nothing_else().await;
}

#[tokio::test]
async fn what_is_published_for_a_tenant_that_rests_waits_until_it_is_resumed() {
    let mut desk = Desk::open().await;
    rest(&desk.kit, "7").await.unwrap();
    // Workers keep to it within a second.
    later(&desk.kit, 1, Duration::from_secs(1)).await.unwrap();
    let other = Work {
        organization_id: 70.into(),
        ..work(2)
    };
    let (queue, options) = (desk.kit.queue_publisher(), TaskOptions::delayed(Duration::from_secs(2)));
    queue
        .publish_task(desk.kit.envelopes(), other, options, &Cause::root())
        .await
        .unwrap();
    assert_eq!(desk.next().await, 2);
    let target = "organization:7".parse().unwrap();
    let ended = desk.kit.pauses().resume(&target).await.unwrap().unwrap();
    assert_eq!(
        (ended.actor.as_str(), ended.reason.as_str()),
        ("support", "they asked for it")
    );
    assert_eq!(desk.next().await, 1);
    desk.nothing_else().await;
}
