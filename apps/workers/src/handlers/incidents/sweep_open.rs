//! `incidents`/`sweep-open`: asks for every open incident to be checked. Published by its schedule, every hour, or by hand.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::incidents::SweepOpenIncidents;
use aftercommit_domain::reference::incidents::use_cases::sweep_open_incidents;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: the ids of what it publishes come from its task's, so that a second run adds nothing.
pub(crate) struct SweepOpenIncidentsHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl SweepOpenIncidentsHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<SweepOpenIncidents> for SweepOpenIncidentsHandler {
    async fn handle(&self, _task: SweepOpenIncidents, ctx: &TaskContext) -> TaskResult {
        Ok(sweep_open_incidents(&self.reference, self.rails.tasks(), ctx)
            .await?
            .into())
    }
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::incidents::CheckIncident;
    use aftercommit_domain::tasks::Outcome;

    use super::*;
    use crate::handlers::incidents::scene::open_incident;
    use crate::handlers::scene::{Scene, skipped_because};

    #[tokio::test]
    async fn every_open_incident_is_asked_for_once_however_often_the_tick_comes() {
        let scene = Scene::new().await;
        let handler = SweepOpenIncidentsHandler::new(scene.harness.ports.clone(), scene.rails());
        let none = scene.context().run(&handler, &SweepOpenIncidents {}).await;
        assert_eq!(none, skipped_because("no incident is open"));
        let mut open = Vec::new();
        for source in ["pump", "valve"] {
            open.push(open_incident(&scene, source).await);
        }
        let context = scene.context();
        for _ in 0..2 {
            let done = context.run(&handler, &SweepOpenIncidents {}).await;
            assert_eq!(done, Ok(Outcome::Completed));
        }
        let checks = scene.harness.waiting::<CheckIncident>().await;
        let mut asked: Vec<_> = checks.into_iter().map(|(check, _)| check.incident_id).collect();
        asked.sort_unstable();
        assert_eq!(asked, open);
    }
}
