//! The topic `records`.

mod purge_by_project;

pub(crate) use purge_by_project::PurgeRecordsHandler;

#[cfg(test)]
pub(super) use scene::ingest;

#[cfg(test)]
mod scene {
    use aftercommit_domain::contract::{Limits, ProjectId};
    use aftercommit_domain::events::create_events_publisher;
    use aftercommit_domain::reference::RequestContext;
    use aftercommit_domain::reference::records::use_cases::{IncomingRecord, IngestRecords, ingest_records};
    use std::sync::Arc;

    use crate::handlers::scene::Scene;

    /// Stores `n` records of a project.
    pub(in crate::handlers) async fn ingest(scene: &Scene, project: &ProjectId, n: usize, request: &RequestContext) {
        let publisher = create_events_publisher(Arc::new(scene.harness.provider.clone()), Limits::default());
        let rail = (&*publisher, &scene.harness.services.envelopes);
        let records = (0..n).map(|n| IncomingRecord {
            key: format!("record-{n}"),
            body: Some("{}".into()),
        });
        let input = IngestRecords {
            project_id: project.clone(),
            records: records.collect(),
        };
        let done = ingest_records(&scene.harness.ports, rail, &scene.caller, request, input).await;
        assert_eq!(done.unwrap().accepted, n);
    }
}
