//! `incidents`/`check`: closes an incident whose trouble is over or cannot be told any more.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::incidents::CheckIncident;
use aftercommit_domain::reference::incidents::use_cases::check_incident;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

/// Nothing but the use case: it closes an incident once and tells of it in the same transaction.
pub(crate) struct CheckIncidentHandler {
    reference: ReferencePorts,
}

impl CheckIncidentHandler {
    pub(crate) const fn new(reference: ReferencePorts) -> Self {
        Self { reference }
    }
}

#[async_trait]
impl TaskHandler<CheckIncident> for CheckIncidentHandler {
    async fn handle(&self, task: CheckIncident, ctx: &TaskContext) -> TaskResult {
        Ok(check_incident(&self.reference, ctx.cause(), &task).await?.into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::IncidentId;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::incidents::scene::{ingest_error, open_incident};
    use crate::handlers::records::ingest_one;
    use crate::handlers::scene::{Scene, skipped_because};

    fn of(scene: &Scene, incident_id: IncidentId) -> CheckIncident {
        CheckIncident {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            incident_id,
        }
    }

    #[tokio::test]
    async fn an_incident_stays_open_while_its_record_tells_of_it_and_is_closed_once_when_it_does_not() {
        let scene = Scene::new().await;
        let handler = CheckIncidentHandler::new(scene.harness.ports.clone());
        let incident = open_incident(&scene, "pump").await;
        let task = of(&scene, incident);
        let still = scene.context().run(&handler, &task).await;
        assert_eq!(still, skipped_because("the record still tells of it"));
        // Its evaluation was given up, let us say.
        ingest_one(&scene, "pump", r#"{"severity": "ok"}"#).await;
        assert_eq!(scene.context().run(&handler, &task).await, Ok(Outcome::Completed));
        let again = scene.context().run(&handler, &task).await;
        assert_eq!(again, skipped_because("the incident is closed"));
        let events = scene.harness.take_events().await;
        assert_eq!(events.last().unwrap().name.as_str(), "IncidentClosed");
        ingest_error(&scene, "pump").await;
        let gone = scene
            .context()
            .run(&handler, &of(&scene, IncidentId::new(&*scene.harness.ports.ids)))
            .await;
        assert_eq!(gone, skipped_because("the incident is gone"));
    }
}
