//! The product on one PostgreSQL and one Temporal, and what an export must have left there.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use aftercommit::config::Settings;
use aftercommit::workflows::{
    SignalRequest, StartRequest, WorkflowEnd, WorkflowEngine, WorkflowId, WorkflowRequestError, WorkflowSignal as _,
};
use aftercommit::{Aftercommit, Kit, Opened};
use aftercommit_domain::contract::{Cause, StorageKey, Tenant};
use aftercommit_domain::reference::exports::use_cases::{RequestExport, request_export, show_export};
use aftercommit_domain::reference::exports::{Export, ExportState, RunExport};
use aftercommit_domain::reference::identity::use_cases::authenticate;
use aftercommit_domain::reference::organizations::use_cases::{CreateOrganization, create_organization};
use aftercommit_domain::reference::records::{NewRecord, RecordBody, RecordKey};
use aftercommit_domain::reference::workflows::CancelExport;
use aftercommit_domain::reference::{Caller, ExportId, RecordId, ReferencePorts, RequestContext, UserId};
use aftercommit_domain::workflows::WorkflowStartError;
use aftercommit_testkit::postgres_server::{PostgresServer, TestDatabase};
use aftercommit_testkit::temporal_server::TemporalServer;
use aftercommit_workflows::wiring::{engine, with_temporal};
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;

use crate::program::{Program, eventually};

/// The task queue that starts go to, unless a test says another.
pub(crate) const QUEUE: &str = "aftercommit";
/// How often a start is sent that is not answered: ten seconds each.
const STARTS: usize = 6;
/// Three parts: a page of records is one.
const RECORDS: usize = 100;

pub(crate) struct Site {
    pub(crate) temporal: TemporalServer,
    pub(crate) ports: ReferencePorts,
    pub(crate) caller: Caller,
    owner: UserId,
    /// The only content that an export may have.
    content: Vec<u8>,
    opened: Opened,
    pool: PgPool,
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
    programs: AtomicU32,
    /// All that were asked for.
    exports: Mutex<Vec<ExportId>>,
    _database: TestDatabase,
}

impl Site {
    /// An organization with a project of some records.
    pub(crate) async fn start(temporal: TemporalServer) -> Self {
        let database = PostgresServer::shared().await.database(None).await;
        let folder = tempfile::tempdir().unwrap();
        let key = format!("k1:{}=", "A".repeat(43));
        let storage = format!("file://{}", folder.path().join("storage").display());
        let variables = vec![
            ("DATABASE_URL", database.url()),
            ("TEMPORAL_ADDRESS", temporal.address().to_owned()),
            ("AFTERCOMMIT_SEALING__KEYS", key),
            ("STORAGE_URL", storage),
            ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
        ];
        let settings = settings(&variables, &folder.path().join("test"), QUEUE);
        let opened = with_temporal(Aftercommit::from_env().reference_product())
            .open(settings)
            .await;
        let opened = opened.unwrap();
        let ports = opened.kit().reference_ports().await.unwrap();
        let made = CreateOrganization {
            name: "Acme".into(),
            owner_email: "owner@acme.test".into(),
        };
        let made = create_organization(&ports, &RequestContext::default(), made)
            .await
            .unwrap();
        let caller = authenticate(&ports, &made.api_key).await.unwrap().unwrap();
        let mut site = Self {
            pool: PgPool::connect(&database.superuser_url()).await.unwrap(),
            temporal,
            ports,
            caller,
            owner: made.user_id,
            content: Vec::new(),
            opened,
            folder,
            variables,
            programs: AtomicU32::new(0),
            exports: Mutex::default(),
            _database: database,
        };
        site.insert_records().await;
        site
    }

    pub(crate) fn kit(&self) -> &Kit {
        self.opened.kit()
    }

    pub(crate) fn tenant(&self) -> Tenant {
        self.caller.tenant_of(&self.caller.project_id)
    }

    async fn insert_records(&mut self) {
        let records: Vec<NewRecord> = (0..RECORDS)
            .map(|number| NewRecord {
                key: RecordKey::new(format!("record-{number}")).unwrap(),
                body: RecordBody::new(format!("{{\"number\":{number}}}")).unwrap(),
            })
            .collect();
        let ids: Vec<RecordId> = records.iter().map(|_| RecordId::new(&*self.ports.ids)).collect();
        let mut uow = self.ports.units.begin(&self.tenant(), &Cause::root()).await.unwrap();
        let batch = StorageKey::new("batch").unwrap();
        let project = &self.caller.project_id;
        let now = self.ports.now();
        uow.records()
            .upsert(project, &batch, &records, &ids, now)
            .await
            .unwrap();
        uow.commit().await.unwrap();
    }

    /// What every later export must say, after it was looked at line by line.
    pub(crate) fn content_is(&mut self, content: Vec<u8>) {
        let text = std::str::from_utf8(&content).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut keys: Vec<&str> = lines.iter().map(|line| line["key"].as_str().unwrap()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!((lines.len(), keys.len()), (RECORDS, RECORDS));
        self.content = content;
    }

    /// Makes an export whose content is looked at, for all later ones to be compared with.
    pub(crate) async fn learn_content(&mut self) {
        let id = self.request().await;
        self.ends(id).await;
        let content = self.file(&self.export(id).await).await;
        self.content_is(content);
        self.is_whole(id).await;
    }

    /// A process of the product's workflows that takes from this task queue.
    pub(crate) fn workflows(&self, queue: &str, failpoints: Option<&str>) -> Program {
        let failpoints = failpoints.map(|points| ("AFTERCOMMIT_FAILPOINTS", points.to_owned()));
        let more = [("AFTERCOMMIT_TEMPORAL__TASK_QUEUE", queue.to_owned())];
        let program = Path::new(env!("CARGO_BIN_EXE_aftercommit-workflows"));
        self.program(program, more.into_iter().chain(failpoints))
    }

    /// A process of the product's relay, dispatcher and topics, which finds Temporal at this address.
    pub(crate) fn workers(&self, temporal: &str) -> Program {
        let program = Path::new(env!("CARGO_BIN_EXE_aftercommit-workers"));
        self.program(program, [("TEMPORAL_ADDRESS", temporal.to_owned())])
    }

    /// A process with these variables beside.
    pub(crate) fn program(&self, program: &Path, more: impl IntoIterator<Item = (&'static str, String)>) -> Program {
        let mut variables = self.variables.clone();
        variables.extend(more);
        let number = self.programs.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("program-{number}"));
        Program::start(program, &variables, &folder)
    }

    /// Temporal, with what is started going to this task queue.
    pub(crate) fn engine(&self, queue: &str) -> Arc<dyn WorkflowEngine> {
        let settings = settings(&self.variables, &self.folder.path().join("test"), queue);
        engine(settings.temporal.as_ref().unwrap()).unwrap()
    }

    /// Asks for an export as the product does; its start waits in the outbox.
    pub(crate) async fn request(&self) -> ExportId {
        let wanted = RequestExport {
            project_id: self.caller.project_id.clone(),
            kind: "records".into(),
            recipient_user_id: self.owner.to_string(),
        };
        let request = RequestContext::default();
        let made = request_export(&self.ports, &self.caller, &request, wanted)
            .await
            .unwrap();
        self.exports.lock().unwrap().push(made.export_id);
        made.export_id
    }

    /// Asks for an export, and starts its workflow on this task queue.
    pub(crate) async fn export_on(&self, queue: &str) -> ExportId {
        let id = self.request().await;
        let run = RunExport {
            organization_id: self.caller.organization_id.clone(),
            project_id: self.caller.project_id.clone(),
            export_id: id,
        };
        let envelopes = self.kit().envelopes();
        let key = id.to_string();
        let start = StartRequest::new(envelopes, envelopes.new_id(), &key, &run, &Cause::root()).unwrap();
        let starter = self.engine(queue).starter();
        // A server that is busy with other tests answers late; the same request again changes nothing.
        for _ in 0..STARTS {
            match starter.start(start.clone()).await {
                Err(WorkflowStartError::Unavailable { .. }) => {}
                started => {
                    started.unwrap();
                    return id;
                }
            }
        }
        panic!("the server did not answer {STARTS} times");
    }

    /// Tells the workflow of an export that it is not wanted any more.
    pub(crate) async fn cancel(&self, id: ExportId, queue: &str) {
        let signal = SignalRequest {
            id: self.workflow_of(id),
            request_id: self.kit().envelopes().new_id(),
            name: CancelExport::NAME,
            payload: serde_json::to_value(CancelExport {}).unwrap(),
        };
        match self.engine(queue).starter().signal(signal).await {
            // The last steps are after its end.
            Ok(()) | Err(WorkflowRequestError::NotRunning { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn workflow_of(&self, id: ExportId) -> WorkflowId {
        let text = format!("{}/export/{id}", self.tenant_path());
        text.parse().unwrap()
    }

    fn tenant_path(&self) -> String {
        format!("{}/{}", self.caller.organization_id, self.caller.project_id)
    }

    pub(crate) async fn export(&self, id: ExportId) -> Export {
        show_export(&self.ports, &self.caller, &Cause::root(), id)
            .await
            .unwrap()
    }

    /// Returns when the workflow of the export has ended.
    pub(crate) async fn ends(&self, id: ExportId) {
        eventually("the export is over", async || {
            self.export(id).await.state.is_final().then_some(())
        })
        .await;
        let workflow = self.workflow_of(id);
        let engine = self.engine("nobody");
        let end = eventually("its workflow ends", async || {
            let described = engine.querier().describe(&workflow).await.ok().flatten();
            described.and_then(|described| described.end)
        })
        .await;
        let is_cancelled = matches!(self.export(id).await.state, ExportState::Cancelled { .. });
        let is_as_it_says = match end {
            WorkflowEnd::Completed(_) => !is_cancelled,
            WorkflowEnd::Cancelled => is_cancelled,
            _ => false,
        };
        assert!(is_as_it_says, "{end:?}");
    }

    /// What the file of an export holds.
    pub(crate) async fn file(&self, export: &Export) -> Vec<u8> {
        let storage = self.kit().object_storage().unwrap();
        let file = storage.get(&export.file().unwrap()).await.unwrap();
        file.unwrap().read_all(1 << 20).await.unwrap()
    }

    /// Asserts that the export ended with its file, and told of it once.
    pub(crate) async fn is_whole(&self, id: ExportId) {
        let export = self.export(id).await;
        let ExportState::Ready { rows, bytes, .. } = export.state else {
            panic!("{export:?}");
        };
        let content = self.file(&export).await;
        assert_eq!((rows, bytes), (RECORDS as u64, content.len() as u64), "{export:?}");
        assert!(content == self.content, "{}", String::from_utf8_lossy(&content));
        assert_eq!(self.notifications(id).await, 1, "{export:?}");
    }

    /// Asserts the same, or that it was cancelled before its file was whole, and nobody was told.
    pub(crate) async fn is_whole_or_nothing(&self, id: ExportId) {
        match self.export(id).await.state {
            ExportState::Cancelled { .. } => assert_eq!(self.notifications(id).await, 0),
            _ => self.is_whole(id).await,
        }
    }

    pub(crate) async fn notifications(&self, id: ExportId) -> i64 {
        let query = "SELECT count(*) FROM reference.notifications WHERE subject_id = $1";
        sqlx::query_scalar(query)
            .bind(id.uuid())
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// How many exports were started by their requests, and the most attempts of one. The first request of all is that of the
    /// project.
    pub(crate) async fn starts(&self) -> (i64, i32) {
        let query = "SELECT greatest(count(*) - 1, 0), coalesce(max(attempts), 0) FROM aftercommit.task_outcomes \
                     WHERE topic = 'workflow-requests' AND outcome = 'completed'";
        sqlx::query_as(query).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Asserts that there is one run of each export, and nothing in the storage but the files of those that are ready.
    pub(crate) async fn nothing_is_left_over(&self) {
        let asked_for = self.exports.lock().unwrap().clone();
        let counted = self
            .temporal
            .cli(&["workflow", "count", "--query", "WorkflowType = 'export'"])
            .await;
        assert!(counted.contains(&format!("Total: {}", asked_for.len())), "{counted}");
        let mut expected = Vec::new();
        for id in asked_for {
            let export = self.export(id).await;
            if let ExportState::Ready { file, .. } = &export.state {
                expected.push(PathBuf::from(format!("objects/{file}")));
            }
        }
        expected.push(PathBuf::from("links.key"));
        expected.sort();
        let storage = self.folder.path().join("storage");
        let mut found = files_below(&storage, &storage);
        found.sort();
        assert_eq!(found, expected);
    }
}

/// What a process is given with these variables.
fn settings(variables: &[(&'static str, String)], data: &Path, queue: &str) -> Settings {
    let mut given: Vec<(String, String)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    given.push(("AFTERCOMMIT_DATA_DIR".to_owned(), data.display().to_string()));
    given.push(("AFTERCOMMIT_TEMPORAL__TASK_QUEUE".to_owned(), queue.to_owned()));
    Settings::from_sources(given, None).unwrap()
}

fn files_below(folder: &Path, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, root));
        } else {
            files.push(path.strip_prefix(root).unwrap().to_owned());
        }
    }
    files
}
