//! `digests`/`trigger-weekly`: asks for the week of every project. Published by its schedule, every Friday, or by hand.

use aftercommit_domain::reference::ReferencePorts;
use aftercommit_domain::reference::digests::TriggerWeeklyDigests;
use aftercommit_domain::reference::digests::use_cases::trigger_weekly_digests;
use aftercommit_domain::tasks::{TaskContext, TaskHandler, TaskResult};
use aftercommit_domain::time::Timestamp;
use async_trait::async_trait;

use crate::Rails;

/// Nothing but the use case: the ids of what it publishes come from its task's, so that a second run adds nothing.
pub(crate) struct TriggerWeeklyDigestsHandler {
    reference: ReferencePorts,
    rails: Rails,
}

impl TriggerWeeklyDigestsHandler {
    pub(crate) const fn new(reference: ReferencePorts, rails: Rails) -> Self {
        Self { reference, rails }
    }
}

#[async_trait]
impl TaskHandler<TriggerWeeklyDigests> for TriggerWeeklyDigestsHandler {
    async fn handle(&self, _task: TriggerWeeklyDigests, ctx: &TaskContext) -> TaskResult {
        Ok(
            trigger_weekly_digests(&self.reference, self.rails.tasks(), ctx, slot(ctx))
                .await?
                .into(),
        )
    }
}

/// The end of the week: the slot of the schedule's tick, however late it runs. Of one that was published by hand, when it was
/// first enqueued. Either is the same in every attempt.
fn slot(ctx: &TaskContext) -> Timestamp {
    ctx.slot().unwrap_or_else(|| ctx.first_enqueued_at())
}

#[cfg(test)]
mod tests {
    use aftercommit_domain::reference::digests::RunDigest;
    use aftercommit_domain::tasks::Outcome;
    use aftercommit_domain::time::{Clock as _, days};

    use super::*;
    use crate::handlers::scene::Scene;

    #[tokio::test]
    async fn every_live_project_is_asked_for_once_with_the_week_of_the_tick() {
        let scene = Scene::new().await;
        let handler = TriggerWeeklyDigestsHandler::new(scene.harness.ports.clone(), scene.rails());
        let second = scene.make_project("Second").await;
        let doomed = scene.make_project("Doomed").await;
        scene.delete_project(&doomed).await;
        let (context, slot) = (scene.context(), scene.harness.services.clock.now());
        for _ in 0..2 {
            let done = context.run(&handler, &TriggerWeeklyDigests {}).await;
            assert_eq!(done, Ok(Outcome::Completed));
        }
        let asked = scene.harness.waiting::<RunDigest>().await;
        let mut projects: Vec<_> = asked.iter().map(|(task, _)| task.project_id.clone()).collect();
        projects.sort();
        let mut live = vec![scene.caller.project_id.clone(), second];
        live.sort();
        assert_eq!(projects, live);
        assert!(asked.iter().all(|(task, _)| task.until == slot));
    }

    #[tokio::test]
    async fn a_tick_that_runs_late_asks_for_the_week_before_its_slot() {
        let scene = Scene::new().await;
        let handler = TriggerWeeklyDigestsHandler::new(scene.harness.ports.clone(), scene.rails());
        let slot = scene.harness.services.clock.now();
        let context = scene.context().slot(slot);
        scene.harness.services.clock.advance(days(1));
        context.run(&handler, &TriggerWeeklyDigests {}).await.unwrap();
        let asked = scene.harness.waiting::<RunDigest>().await;
        assert!(!asked.is_empty() && asked.iter().all(|(task, _)| task.until == slot));
    }
}
