//! The topic `records`.

mod fan_out;
mod purge_by_project;
mod settle;

pub(crate) use fan_out::FanOutRecordsHandler;
pub(crate) use purge_by_project::PurgeRecordsHandler;
pub(crate) use settle::SettleRecordHandler;

#[cfg(test)]
pub(super) use scene::{ingest, ingest_one};

#[cfg(test)]
mod scene {
    use aftercommit_domain::contract::{Cause, Limits, ProjectId};
    use aftercommit_domain::events::create_events_publisher;
    use aftercommit_domain::reference::records::RecordsIngested;
    use aftercommit_domain::reference::records::use_cases::{IncomingRecord, IngestRecords, ingest_records};
    use aftercommit_domain::reference::{RecordId, RequestContext};
    use std::sync::Arc;

    use crate::handlers::scene::Scene;

    /// Stores `n` records of a project.
    pub(in crate::handlers) async fn ingest(scene: &Scene, project: &ProjectId, n: usize, request: &RequestContext) {
        let records = (0..n).map(|n| (format!("record-{n}"), "{}".to_owned()));
        store(scene, project, records.collect(), request).await;
    }

    /// Stores a record of the caller's project, and answers which it is.
    pub(in crate::handlers) async fn ingest_one(scene: &Scene, key: &str, body: &str) -> RecordId {
        let project = scene.caller.project_id.clone();
        let records = vec![(key.to_owned(), body.to_owned())];
        store(scene, &project, records, &RequestContext::default()).await;
        let events = scene.harness.direct_events().await;
        let event: RecordsIngested = scene.harness.read(events.last().unwrap());
        let tenant = scene.caller.tenant_of(&project);
        let mut uow = scene.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        let ids = uow.records().of_batch(&project, &event.batch, None, 2).await.unwrap();
        *ids.first().unwrap()
    }

    async fn store(scene: &Scene, project: &ProjectId, records: Vec<(String, String)>, request: &RequestContext) {
        let n = records.len();
        let publisher = create_events_publisher(Arc::new(scene.harness.provider.clone()), Limits::default());
        let rail = (&*publisher, &scene.harness.services.envelopes);
        let records = records
            .into_iter()
            .map(|(key, body)| IncomingRecord { key, body: Some(body) });
        let input = IngestRecords {
            project_id: project.clone(),
            records: records.collect(),
        };
        let done = ingest_records(&scene.harness.ports, rail, &scene.caller, request, input).await;
        assert_eq!(done.unwrap().accepted, n);
    }
}
