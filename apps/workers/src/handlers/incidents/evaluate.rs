//! `incidents`/`evaluate`: opens or closes an incident because of a record.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::incidents::EvaluateRecord;
use aftercommit_domain::reference::incidents::use_cases::evaluate_record;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: the incident and what tells of it are one transaction.
pub(crate) struct EvaluateRecordHandler {
    reference: ReferencePorts,
}

impl EvaluateRecordHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<EvaluateRecord> for EvaluateRecordHandler {
    async fn handle(&self, task: EvaluateRecord, ctx: &TaskContext) -> TaskResult {
        Ok(evaluate_record(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::contract::EventEnvelope;
    use aftercommit_domain::reference::RecordId;
    use aftercommit_domain::tasks::Outcome;
    use aftercommit_domain::time::seconds;

    use super::*;
    use crate::handlers::records::ingest_one;
    use crate::handlers::scene::{Scene, skipped_because};

    const ERROR: &str = r#"{"severity": "error"}"#;
    const OK: &str = r#"{"severity": "ok"}"#;

    async fn evaluate(scene: &Scene, record_id: RecordId) -> TaskResult {
        let handler = EvaluateRecordHandler::new(scene.harness.ports.clone());
        let task = EvaluateRecord {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            record_id,
        };
        scene.context().run(&handler, &task).await
    }

    /// A record that comes a second after what came before.
    async fn record(scene: &Scene, key: &str, body: &str) -> RecordId {
        scene.harness.services.clock.advance(seconds(1));
        ingest_one(scene, key, body).await
    }

    async fn told(scene: &Scene) -> Vec<String> {
        let events: Vec<EventEnvelope> = scene.harness.take_events().await;
        events.into_iter().map(|event| event.name.to_string()).collect()
    }

    #[tokio::test]
    async fn an_error_opens_one_incident_of_its_source_and_an_ok_closes_it_however_often_they_are_evaluated() {
        let scene = Scene::new().await;
        let pump = record(&scene, "pump", ERROR).await;
        assert_eq!(evaluate(&scene, pump).await, Ok(Outcome::Completed));
        let open = skipped_because("an incident of the source is open already");
        assert_eq!(evaluate(&scene, pump).await, open);
        assert_eq!(told(&scene).await, ["IncidentOpened"]);

        record(&scene, "pump", OK).await;
        assert_eq!(evaluate(&scene, pump).await, Ok(Outcome::Completed));
        let none = skipped_because("no incident of the source is open");
        assert_eq!(evaluate(&scene, pump).await, none);
        assert_eq!(told(&scene).await, ["IncidentClosed"]);

        record(&scene, "pump", ERROR).await;
        assert_eq!(evaluate(&scene, pump).await, Ok(Outcome::Completed));
        assert_eq!(told(&scene).await, ["IncidentOpened"]);
    }

    #[tokio::test]
    async fn records_of_one_source_share_its_incident_and_a_late_evaluation_of_an_older_one_opens_none() {
        let scene = Scene::new().await;
        let first = record(&scene, "a", r#"{"severity": "error", "source": "pump"}"#).await;
        let second = record(&scene, "b", r#"{"severity": "error", "source": "pump"}"#).await;
        let over = record(&scene, "c", r#"{"severity": "ok", "source": "pump"}"#).await;
        assert_eq!(evaluate(&scene, second).await, Ok(Outcome::Completed));
        assert_eq!(evaluate(&scene, over).await, Ok(Outcome::Completed));
        let later = skipped_because("a later record of the source was evaluated");
        assert_eq!(evaluate(&scene, first).await, later);
        assert_eq!(evaluate(&scene, second).await, later);
        assert_eq!(told(&scene).await, ["IncidentOpened", "IncidentClosed"]);
    }

    #[tokio::test]
    async fn what_tells_of_nothing_is_gone_or_was_not_committed_changes_nothing() {
        let scene = Scene::new().await;
        let plain = record(&scene, "pump", r#"{"value": 3}"#).await;
        let nothing = skipped_because("the record tells of nothing good or bad");
        assert_eq!(evaluate(&scene, plain).await, nothing);
        let unknown = RecordId::new(&*scene.harness.ports.ids);
        assert_eq!(evaluate(&scene, unknown).await, skipped_because("the record is gone"));
        let bad = record(&scene, "pump", ERROR).await;
        scene.harness.store.refuse_commits(true);
        assert!(evaluate(&scene, bad).await.is_err());
        scene.harness.store.refuse_commits(false);
        assert_eq!(told(&scene).await, [""; 0]);
        assert_eq!(evaluate(&scene, bad).await, Ok(Outcome::Completed));
        assert_eq!(told(&scene).await, ["IncidentOpened"]);
    }
}
