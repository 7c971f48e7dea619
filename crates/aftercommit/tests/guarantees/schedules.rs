//! Schedules of an application: declared on the builder, made in transactions, and in the operators' hands.

use aftercommit::domain::contract::ScheduleKey;
use aftercommit::domain::tasks::ScheduleId;
use aftercommit::domain::time::Timestamp;
use aftercommit::prelude::*;
use aftercommit::{Kit, StartupError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::place::{Api, PATIENCE, Place};

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "sweeps", name = "sweep", version = 1)]
#[exempt(system, "it sweeps for everybody")]
struct Sweep {}

#[derive(Serialize, Deserialize, Task)]
#[task(topic = "sweeps", name = "sweep-project", version = 1)]
struct SweepProject {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

/// Tells the slot of each run, and whose it was.
struct Sweeps(UnboundedSender<(Tenant, Timestamp)>);

#[async_trait]
impl TaskHandler<Sweep> for Sweeps {
    async fn handle(&self, _: Sweep, ctx: &TaskContext) -> TaskResult {
        self.0.send((ctx.tenant().clone(), ctx.slot().unwrap())).unwrap();
        completed()
    }
}

#[async_trait]
impl TaskHandler<SweepProject> for Sweeps {
    async fn handle(&self, _: SweepProject, ctx: &TaskContext) -> TaskResult {
        self.0.send((ctx.tenant().clone(), ctx.slot().unwrap())).unwrap();
        completed()
    }
}

type Runs = UnboundedReceiver<(Tenant, Timestamp)>;

fn application() -> (Aftercommit, Runs) {
    let (told, runs) = unbounded_channel();
    let topic = Topic::named("sweeps")
        .handle::<Sweep>(Sweeps(told.clone()))
        .handle::<SweepProject>(Sweeps(told));
    (Aftercommit::from_env().topic(topic), runs)
}

async fn next(runs: &mut Runs) -> (Tenant, Timestamp) {
    tokio::time::timeout(PATIENCE, runs.recv()).await.unwrap().unwrap()
}

async fn history(api: &Api, key: &str) -> Vec<Value> {
    let answer = api.get(&format!("/admin/v1/schedules/{key}/history")).await.json(200);
    answer["ticks"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_declared_schedule_runs_its_handler_at_each_slot_and_goes_with_the_code() {
    let place = Place::new();
    let (application, mut runs) = application();
    let each_second = Schedule::declare("sweep", "* * * * * *").zone("Europe/Berlin");
    let application = application.schedule(each_second.publishes(&Sweep {}));
    let opened = application.open(place.settings()).await.unwrap();
    let api = Api::of(opened.operations());
    let running = opened.start();
    let (first, second) = (next(&mut runs).await, next(&mut runs).await);
    assert_eq!(first.0, Tenant::System);
    assert!(second.1 > first.1);
    assert!(api.loops().await.contains(&"scheduler".to_owned()));
    let listed = api.get("/admin/v1/schedules").await.json(200);
    let schedule = &listed["schedules"][0];
    assert_eq!(
        (&schedule["key"], &schedule["cron"]),
        (&json!("sweep"), &json!("* * * * * *"))
    );
    assert_eq!(
        (&schedule["zone"], &schedule["origin"]),
        (&json!("Europe/Berlin"), &json!("declared"))
    );
    running.stop().await;

    let (application, _runs) = self::application();
    let opened = application.open(place.settings()).await.unwrap();
    let api = Api::of(opened.operations());
    let kept = history(&api, "sweep").await.len();
    let running = opened.start();
    for _ in 0..200 {
        let listed = api.get("/admin/v1/schedules").await.json(200);
        if listed["schedules"].as_array().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    api.get("/admin/v1/schedules/sweep").await.problem(404, "not_found");
    assert_eq!(
        history(&api, "sweep").await.len(),
        kept,
        "what became of its slots stays"
    );
    running.stop().await;
}

async fn put(kit: &Kit, tenant: &Tenant, schedule: &Schedule) {
    let mut unit = kit.begin(tenant, &Cause::root()).await.unwrap();
    unit.schedules().put(schedule).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn operators_see_run_pause_and_resume_the_schedule_of_a_tenant() {
    let place = Place::new();
    let (application, mut runs) = application();
    let opened = application.open(place.settings()).await.unwrap();
    let api = Api::of(opened.operations());
    let tenant = Tenant::project(1, 2);
    let schedule = Schedule::declare("nightly sweep/1", "0 3 * * *")
        .misfire(Misfire::All { max: 3 })
        .publishes(&SweepProject {
            organization_id: 1.into(),
            project_id: 2.into(),
        })
        .unwrap();
    put(opened.kit(), &tenant, &schedule).await;
    let path = |action: &str| format!("/admin/v1/schedules/nightly%20sweep%2F1{action}?organization_id=1&project_id=2");
    let shown = api.get(&path("")).await.json(200);
    assert_eq!(shown["upcoming"].as_array().unwrap().len(), 5);
    assert_eq!(shown["upcoming"][0], shown["next_slot"]);
    assert_eq!(
        (&shown["misfire"], &shown["overlap"]),
        (&json!({ "all": { "max": 3 } }), &json!("skip"))
    );
    assert_eq!(shown["payload"], json!({ "organization_id": "1", "project_id": "2" }));

    for (body, code) in [
        (json!({ "reason": " " }), "pause.reason"),
        (json!({ "reason": "x".repeat(501) }), "pause.reason"),
        (json!({ "reason": "a", "until": "2020-01-01T00:00:00Z" }), "pause.end"),
        (json!({ "reason": "a", "for_ms": 0 }), "pause.end"),
        (
            json!({ "reason": "a", "for_ms": 1, "until": "2999-01-01T00:00:00Z" }),
            "pause.end",
        ),
    ] {
        api.post(&path("/pause"), &body).await.problem(422, code);
    }
    let paused = api
        .post(&path("/pause"), &json!({ "reason": "it moves" }))
        .await
        .json(200);
    assert_eq!(
        (&paused["pause"]["reason"], &paused["pause"]["by"]),
        (&json!("it moves"), &json!("admin-api"))
    );
    let resumed = api.post(&path("/resume"), &json!({})).await.json(200);
    assert_eq!(resumed, json!({ "resumed": true }));
    assert_eq!(
        api.post(&path("/resume"), &json!({})).await.json(200),
        json!({ "resumed": false })
    );

    let ran = api.post(&path("/run"), &json!({})).await.json(202);
    assert_eq!((&ran["outcome"], &ran["by"]), (&json!("fired"), &json!("admin-api")));
    let again = api.post(&path("/run"), &json!({})).await.json(202);
    assert_eq!(again["outcome"], "skipped_overlap", "nothing runs here yet");
    let ticks = api.get(&path("/history")).await.json(200);
    assert_eq!(ticks["ticks"].as_array().unwrap().len(), 2);
    let running = opened.start();
    let (of, slot) = next(&mut runs).await;
    assert_eq!((of, json!(slot)), (tenant, ran["slot"].clone()));

    // Of nobody, of another tenant, of no tenant, and no key.
    for (path, status, code) in [
        ("/admin/v1/schedules/nightly%20sweep%2F1", 404, "not_found"),
        (
            "/admin/v1/schedules/nightly%20sweep%2F1?organization_id=1",
            404,
            "not_found",
        ),
        ("/admin/v1/schedules/other/history", 404, "not_found"),
        ("/admin/v1/schedules/a?project_id=2", 400, "tenant.organization_missing"),
        ("/admin/v1/schedules/%20a", 400, "schedule.key"),
        ("/admin/v1/schedules?limit=x", 400, "query.invalid"),
    ] {
        api.get(path).await.problem(status, code);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_schedule_that_cannot_be_meant_is_refused_at_start_with_everything_that_is_wrong() {
    let place = Place::new();
    let (application, _runs) = application();
    let refused = application
        .schedule(Schedule::declare("a", "60 * * * *").publishes(&Sweep {}))
        .schedule(Schedule::declare("b", "0 0 30 2 *").publishes(&Sweep {}))
        .schedule(
            Schedule::declare("c", "* * * * *")
                .zone("Mars/Olympus")
                .publishes(&Sweep {}),
        )
        .schedule(Schedule::declare("", "* * * * *").publishes(&Sweep {}))
        .schedule(
            Schedule::declare("d", "* * * * *")
                .misfire(Misfire::All { max: 0 })
                .publishes(&Sweep {}),
        )
        .open(place.settings())
        .await;
    let Err(error @ StartupError::Declaration(_)) = refused.map(drop) else {
        panic!("it is refused at start");
    };
    let text = error.to_string();
    for expected in [
        "at column 1, in the minute: 60 is not from 0 to 59 (cron.invalid)",
        "at column 5, in the day of the month: no such day is in these months",
        "\"Mars/Olympus\" is no zone of the IANA database",
        "a schedule's key",
        "misfire all makes up for 1 to 100 slots, not 0 (schedule.misfire)",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn the_key_of_a_schedule_is_found_by_its_tenant_outside_a_transaction_too() {
    let place = Place::new();
    let (application, _runs) = application();
    let opened = application.open(place.settings()).await.unwrap();
    let schedule = Schedule::declare("a", "@daily").publishes(&Sweep {}).unwrap();
    opened.kit().schedules().put(&schedule).await.unwrap();
    let id = ScheduleId::system(ScheduleKey::new("a").unwrap());
    assert!(opened.kit().schedules().find(&id).await.unwrap().is_some());
    opened.close().await;
}
