//! `export`: a whole file and one notification, or nothing of either.

use std::sync::{Arc, Mutex};

use aftercommit_domain::contract::{ActivityName, Cause, RunId, StorageKey};
use aftercommit_domain::effects::ObjectStorageError;
use aftercommit_domain::reference::exports::use_cases::{RequestExport, cancel_export, request_export};
use aftercommit_domain::reference::projects::use_cases::{CreateProject, create_project, delete_project};
use aftercommit_domain::reference::records::{NewRecord, RecordBody, RecordKey};
use aftercommit_domain::reference::workflows::EXPORT_PROGRESS;
use aftercommit_domain::reference::{ExportId, RecordId, RequestContext};
use aftercommit_domain::tasks::CancellationSignal;
use aftercommit_domain::time::Timestamp;
use aftercommit_domain::workflows::{
    ActivityContext, ActivityContextParts, ActivityError, ActivityHost, SignalRequest, StartRequest, StepNumber,
    WorkflowEnd, WorkflowQuerier as _, WorkflowRegistry, WorkflowRequest, WorkflowStarter,
};
use aftercommit_testkit::{StorageStep, TestServices, WorkflowTrial, try_workflow};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::golden::check_golden;
use crate::world::{World, now};

/// Two pages and a half.
pub(crate) const RECORDS: usize = 100;

/// A project with records, of which somebody asked for an export.
pub(crate) struct Asked {
    pub(crate) world: World,
    export: ExportId,
    start: StartRequest,
}

/// Takes in every record of the project, again too.
pub(crate) fn ingest(world: &World, batch: &str, more: &str) {
    let record = |n: usize| NewRecord {
        key: RecordKey::new(format!("record \"{n}\"")).unwrap(),
        body: RecordBody::new(format!("{{\n  \"n\": {n}{more}\n}}")).unwrap(),
    };
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let ids: Vec<_> = records
        .iter()
        .map(|_| RecordId::new(&*world.harness.ports.ids))
        .collect();
    let batch = StorageKey::new(batch).unwrap();
    let (project, at) = (&world.caller.project_id, world.harness.ports.now());
    let mut uow = world.unit();
    now(uow.records().upsert(project, &batch, &records, &ids, at)).unwrap();
    now(uow.commit()).unwrap();
}

impl Asked {
    fn with(mut world: World) -> Self {
        let request = RequestContext::default();
        let input = CreateProject { name: "Big".into() };
        let made = now(create_project(&world.harness.ports, &world.caller, &request, input)).unwrap();
        world.caller.project_id = made.project_id;
        ingest(&world, "records/a/b/c", "");
        world.requests();

        let input = RequestExport {
            project_id: world.caller.project_id.clone(),
            kind: "records".into(),
            recipient_user_id: world.owner.to_string(),
        };
        let asked = now(request_export(&world.harness.ports, &world.caller, &request, input)).unwrap();
        let start = world.start_request();
        Self {
            world,
            export: asked.export_id,
            start,
        }
    }

    pub(crate) fn new() -> Self {
        Self::with(World::new())
    }

    fn cancel(&self) -> SignalRequest {
        let request = RequestContext::default();
        now(cancel_export(
            &self.world.harness.ports,
            &self.world.caller,
            &request,
            self.export,
        ))
        .unwrap();
        match self.world.requests().pop() {
            Some(WorkflowRequest::Signal(signal)) => signal,
            other => panic!("no signal: {other:?}"),
        }
    }

    fn delete_project(&self) {
        let (request, project) = (RequestContext::default(), &self.world.caller.project_id);
        now(delete_project(
            &self.world.harness.ports,
            &self.world.caller,
            &request,
            project,
        ))
        .unwrap();
    }

    fn left(&self) -> Left {
        let world = &self.world;
        let export = now(world.unit().exports().find(self.export)).unwrap().unwrap();
        let rows = export.file().ok().and_then(|file| world.storage.content(&file));
        let rows_of = |content: Vec<u8>| String::from_utf8(content).unwrap().lines().count();
        let rows_of_notifications = world.harness.store.snapshot();
        let told = |kind: &str| rows_of_notifications.matches(&format!("kind: {kind},")).count();
        Left {
            state: export.state.as_str(),
            rows: rows.map(rows_of),
            objects: world.storage.objects().len(),
            unfinished: world.storage.unfinished().len(),
            told_ready: told("ExportReady"),
            told_failed: told("ExportFailed"),
        }
    }
}

/// What is left of an export in the world.
#[derive(Debug, PartialEq)]
struct Left {
    state: &'static str,
    rows: Option<usize>,
    objects: usize,
    unfinished: usize,
    told_ready: usize,
    told_failed: usize,
}

impl Left {
    /// Nothing but the row that says how it ended.
    const fn nothing(state: &'static str) -> Self {
        Self {
            state,
            rows: None,
            objects: 0,
            unfinished: 0,
            told_ready: 0,
            told_failed: 0,
        }
    }

    const EVERYTHING: Self = Self {
        state: "ready",
        rows: Some(RECORDS),
        objects: 1,
        unfinished: 0,
        told_ready: 1,
        told_failed: 0,
    };
}

fn away() -> StorageStep {
    StorageStep::Reject(ObjectStorageError::Unavailable { reason: "503".into() })
}

fn trial(services: &TestServices) -> WorkflowTrial<Left> {
    let asked = Asked::with(World::with(services));
    WorkflowTrial {
        registry: asked.world.registry(),
        start: asked.start.clone(),
        signals: vec![],
        effects: Box::new(move || asked.left()),
        may_be_cancelled_so: Box::new(|end, left| {
            *end == WorkflowEnd::Cancelled && *left == Left::nothing("cancelled")
        }),
    }
}

#[tokio::test]
async fn an_export_has_its_whole_file_and_one_notification_or_nothing_whatever_goes_wrong_wherever() {
    let report = try_workflow(trial).await;
    assert!(report.places >= 8 && report.attempts >= 5, "{report:?}");
}

#[tokio::test]
async fn an_export_has_each_record_once_in_a_line_of_its_own() {
    let asked = Asked::new();
    let WorkflowEnd::Completed(file) = asked.world.run(asked.start.clone()).await else {
        panic!("it completes");
    };
    assert_eq!(asked.left(), Left::EVERYTHING);
    let content = asked.world.storage.content(&asked.world.storage.objects()[0]).unwrap();
    assert_eq!(file, json!({"rows": RECORDS, "bytes": content.len()}));
    let lines: Vec<Value> = String::from_utf8(content)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(
            (&line["key"], &line["body"]),
            (&json!(format!("record \"{n}\"")), &json!({"n": n}))
        );
    }
}

#[tokio::test]
async fn an_export_that_is_tried_again_goes_on_after_the_last_part_it_put() {
    let asked = Asked::new();
    asked
        .world
        .storage
        .script([StorageStep::Accept, StorageStep::Accept, away()]);
    asked.world.run(asked.start.clone()).await;
    assert_eq!(asked.left(), Left::EVERYTHING);
    // Three parts, of which the last was put twice.
    assert_eq!(asked.world.storage.part_puts(), 4);
}

#[tokio::test]
async fn a_cancelled_export_leaves_no_partial_object_and_no_notification() {
    let asked = Asked::new();
    asked.world.storage.script([StorageStep::Accept, away()]);
    let (engine, id) = (asked.world.engine(), asked.start.id.clone());
    engine.start(asked.start.clone()).await.unwrap();
    engine.settle().await;
    assert_eq!(asked.left().unfinished, 1, "it is half done");
    engine.signal(asked.cancel()).await.unwrap();
    let description = engine.run_to_end(&id).await.unwrap();
    assert_eq!(description.end, Some(WorkflowEnd::Cancelled));
    assert_eq!(asked.left(), Left::nothing("cancelled"));
}

#[tokio::test]
async fn an_export_that_cannot_be_made_leaves_no_partial_object_and_is_told_of_once() {
    let asked = Asked::new();
    let refused = ObjectStorageError::Refused { reason: "403".into() };
    let script = [StorageStep::Accept, StorageStep::Reject(refused), away()];
    asked.world.storage.script(script);
    let WorkflowEnd::Failed(failure) = asked.world.run(asked.start.clone()).await else {
        panic!("it was refused");
    };
    assert_eq!(failure.kind, "storage.refused");
    let left = Left {
        told_failed: 1,
        ..Left::nothing("failed")
    };
    assert_eq!(asked.left(), left);
}

#[tokio::test]
async fn an_export_of_a_project_that_is_deleted_on_its_way_leaves_nothing_and_tells_nobody() {
    let asked = Asked::new();
    asked.world.storage.script([StorageStep::Accept, away()]);
    let (engine, id) = (asked.world.engine(), asked.start.id.clone());
    engine.start(asked.start.clone()).await.unwrap();
    engine.settle().await;
    asked.delete_project();
    let description = engine.run_to_end(&id).await.unwrap();
    assert_eq!(description.end, Some(WorkflowEnd::Completed(Value::Null)));
    assert_eq!(asked.left(), Left::nothing("failed"));
}

/// Nobody tells this attempt anything: its worker was taken for lost. What it tells of itself is kept.
#[derive(Default)]
pub(crate) struct Lost(pub(crate) Mutex<Option<Value>>);

#[async_trait]
impl CancellationSignal for Lost {
    fn is_cancelled(&self) -> bool {
        false
    }

    async fn cancelled(&self) {
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl ActivityHost for Lost {
    async fn heartbeat(&self, cursor: Value) {
        *self.0.lock().unwrap() = Some(cursor);
    }
}

impl Asked {
    /// What an attempt of this activity does that goes on when nobody waits for it any more.
    pub(crate) async fn goes_on(&self, activity: &'static str, what: Value) -> Result<Value, ActivityError> {
        let (registry, host) = (self.world.registry(), Arc::<Lost>::default());
        self.attempt(&registry, activity, what, 1, None, host).await
    }

    /// An attempt of an activity, which begins with this cursor.
    pub(crate) async fn attempt(
        &self,
        registry: &WorkflowRegistry,
        activity: &'static str,
        what: Value,
        attempt: u32,
        cursor: Option<Value>,
        host: Arc<Lost>,
    ) -> Result<Value, ActivityError> {
        let caller = &self.world.caller;
        let input = json!({
            "organization_id": caller.organization_id, "project_id": caller.project_id, "export_id": self.export, "what": what,
        });
        let services = &self.world.harness.services;
        let ctx = ActivityContext::new(ActivityContextParts {
            workflow_id: self.start.id.clone(),
            run_id: RunId::new("run").unwrap(),
            activity_id: StepNumber(2),
            attempt,
            deadline: Timestamp::MAX_UTC,
            cause: Cause::root(),
            cursor,
            clock: services.clock_port(),
            limits: *services.codec.limits(),
            host,
        });
        let activity = registry.activity(&ActivityName::constant(activity)).unwrap();
        activity.run(input, ctx).await
    }
}

#[tokio::test]
async fn what_a_lost_worker_puts_for_an_export_that_is_over_is_removed() {
    let asked = Asked::new();
    asked.world.storage.script([away()]);
    let (engine, id) = (asked.world.engine(), asked.start.id.clone());
    engine.start(asked.start.clone()).await.unwrap();
    engine.settle().await;
    engine.signal(asked.cancel()).await.unwrap();
    engine.run_to_end(&id).await.unwrap();
    let nothing = Left::nothing("cancelled");
    let went_on = asked.goes_on("collect-export", json!({"after": null, "parts": 0, "rows": 0}));
    assert_eq!(went_on.await, Ok(json!("not_wanted")));
    assert!(asked.world.storage.part_puts() >= 3);
    assert_eq!(asked.left(), nothing);
    let went_on = asked.goes_on("complete-export", json!({"after": null, "parts": 0, "rows": 0}));
    went_on.await.unwrap();
    assert_eq!(asked.left(), nothing);
}

#[tokio::test]
async fn what_a_lost_worker_puts_for_an_export_that_is_ready_leaves_its_file_alone() {
    let asked = Asked::new();
    asked.world.run(asked.start.clone()).await;
    let puts = asked.world.storage.part_puts();
    let went_on = asked.goes_on("collect-export", json!({"after": null, "parts": 0, "rows": 0}));
    assert_eq!(went_on.await, Ok(json!("not_wanted")));
    assert!(asked.world.storage.part_puts() > puts);
    assert_eq!(asked.left(), Left::EVERYTHING);
}

#[tokio::test]
async fn an_export_says_how_far_it_is() {
    let asked = Asked::new();
    let (engine, id) = (asked.world.engine(), asked.start.id.clone());
    asked.world.storage.script([away()]);
    engine.start(asked.start.clone()).await.unwrap();
    engine.settle().await;
    let progress = engine.query(&id, EXPORT_PROGRESS).await.unwrap();
    assert_eq!(progress, Some(json!({"rows": 0, "is_collected": false})));
    engine.run_to_end(&id).await.unwrap();
    let progress = engine.query(&id, EXPORT_PROGRESS).await.unwrap();
    assert_eq!(progress, Some(json!({"rows": RECORDS, "is_collected": true})));
}

#[tokio::test]
async fn the_history_of_an_export_is_replayed() {
    let asked = Asked::new();
    check_golden("export_1", &asked.world, asked.start.clone()).await;
}
