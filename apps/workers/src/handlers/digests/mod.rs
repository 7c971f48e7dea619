//! The topic `digests`.

mod run_for_project;
mod trigger_weekly;

pub(crate) use run_for_project::RunDigestHandler;
pub(crate) use trigger_weekly::TriggerWeeklyDigestsHandler;

#[cfg(test)]
pub(super) mod scene {
    use aftercommit_domain::contract::Cause;
    use aftercommit_domain::reference::Progress;
    use aftercommit_domain::reference::digests::use_cases::run_digest;
    use aftercommit_domain::reference::digests::{DigestGenerated, RunDigest};
    use aftercommit_domain::time::{after, days};

    use crate::handlers::incidents::scene::open_incident;
    use crate::handlers::scene::Scene;

    /// A week of the caller's project in which an incident was opened, that ends in a day.
    pub(in crate::handlers) async fn week(scene: &Scene) -> RunDigest {
        open_incident(scene, "boiler").await;
        RunDigest {
            organization_id: scene.caller.organization_id.clone(),
            project_id: scene.caller.project_id.clone(),
            until: after(scene.harness.ports.now(), days(1)),
        }
    }

    /// The event that tells of the digest of such a week.
    pub(in crate::handlers) async fn generate(scene: &Scene) -> DigestGenerated {
        let task = week(scene).await;
        let made = run_digest(&scene.harness.ports, &Cause::root(), &task).await.unwrap();
        assert_eq!(made, Progress::Done(()));
        let events = scene.harness.take_events().await;
        scene.harness.read(events.last().unwrap())
    }
}
