//! The topic `incidents`.

mod check;
mod evaluate;
mod sweep_open;

pub(crate) use check::CheckIncidentHandler;
pub(crate) use evaluate::EvaluateRecordHandler;
pub(crate) use sweep_open::SweepOpenIncidentsHandler;

#[cfg(test)]
pub(super) mod scene {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::incidents::use_cases::evaluate_record;
    use aftercommit_domain::reference::incidents::{EvaluateRecord, IncidentSource};
    use aftercommit_domain::reference::records::RecordKey;
    use aftercommit_domain::reference::{IncidentId, Progress, RecordId};
    use aftercommit_domain::time::seconds;

    use crate::handlers::records::ingest_one;
    use crate::handlers::scene::Scene;

    /// A record of this key that tells of an error, a second after what came before.
    pub(in crate::handlers) async fn ingest_error(scene: &Scene, key: &str) -> RecordId {
        scene.harness.services.clock.advance(seconds(1));
        ingest_one(scene, key, r#"{"severity": "error"}"#).await
    }

    /// Opens an incident, and takes the event that tells of it.
    pub(in crate::handlers) async fn open_incident(scene: &Scene, key: &str) -> IncidentId {
        let project = scene.caller.project_id.clone();
        let task = EvaluateRecord {
            organization_id: scene.caller.organization_id.clone(),
            project_id: project.clone(),
            record_id: ingest_error(scene, key).await,
        };
        let ports = &scene.harness.ports;
        let opened = evaluate_record(ports, &Cause::root(), &task).await.unwrap();
        assert_eq!(opened, Progress::Done(()));
        scene.harness.take_events().await;
        let mut uow = ports
            .units
            .begin(&scene.caller.tenant_of(&project), &Cause::root())
            .await
            .unwrap();
        let source = IncidentSource::from(RecordKey::new(key).unwrap());
        let latest = uow.incidents().latest(&project, &source).await.unwrap();
        latest.unwrap().id
    }
}
