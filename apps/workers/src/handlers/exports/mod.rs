//! The topic `exports`.

mod purge_by_project;
mod sweep;

pub(crate) use purge_by_project::PurgeExportsHandler;
pub(crate) use sweep::SweepExportHandler;

use aftercommit_domain::reference::exports::use_cases::ExportFileError;
use aftercommit_domain::tasks::Stop;

/// What a failure of either is to the worker.
fn stopped(error: ExportFileError) -> Stop {
    match error {
        ExportFileError::UseCase(error) => error.into(),
        ExportFileError::Storage(error) => error.into(),
    }
}

#[cfg(test)]
mod scene {
    use aftercommit_domain::contract::{Cause, ProjectId};
    use aftercommit_domain::effects::{ObjectKey, ObjectStorage as _, PartNumber};
    use aftercommit_domain::reference::exports::use_cases::{RequestExport, advance_export, request_export};
    use aftercommit_domain::reference::exports::{Export, ExportState};
    use aftercommit_domain::reference::{ExportId, Progress, RequestContext};
    use aftercommit_testkit::InMemoryObjectStorage;

    use crate::handlers::scene::Scene;

    pub(super) fn storage(scene: &Scene) -> InMemoryObjectStorage {
        InMemoryObjectStorage::new(scene.harness.services.clock_port())
    }

    /// Somebody asks for an export of the project. Answers it with where its file lies.
    pub(super) async fn ask(scene: &Scene, project: &ProjectId) -> (ExportId, ObjectKey) {
        let input = RequestExport {
            project_id: project.clone(),
            kind: "records".into(),
            recipient_user_id: scene.owner.to_string(),
        };
        let asked = request_export(&scene.harness.ports, &scene.caller, &RequestContext::default(), input).await;
        let id = asked.unwrap().export_id;
        let file = find(scene, project, id).await.unwrap().file().unwrap();
        (id, file)
    }

    pub(super) async fn find(scene: &Scene, project: &ProjectId, id: ExportId) -> Option<Export> {
        let tenant = scene.caller.tenant_of(project);
        let mut uow = scene.harness.ports.units.begin(&tenant, &Cause::root()).await.unwrap();
        uow.exports().find(id).await.unwrap()
    }

    pub(super) async fn end(scene: &Scene, project: &ProjectId, id: ExportId, state: ExportState) {
        let tenant = scene.caller.tenant_of(project);
        let ended = advance_export(&scene.harness.ports, &Cause::root(), &tenant, id, state).await;
        assert!(matches!(ended.unwrap(), Progress::Done(_)), "it was open");
    }

    pub(super) async fn put_part(storage: &InMemoryObjectStorage, file: &ObjectKey) {
        storage.put_part(file, PartNumber::FIRST, vec![1]).await.unwrap();
    }

    /// Makes the file of an export, which is ready then.
    pub(super) async fn make(
        scene: &Scene,
        storage: &InMemoryObjectStorage,
        project: &ProjectId,
        (id, file): &(ExportId, ObjectKey),
    ) {
        put_part(storage, file).await;
        let bytes = storage.complete(file, 1).await.unwrap();
        let ready = ExportState::Ready {
            file: file.clone(),
            rows: 1,
            bytes,
            at: scene.harness.ports.now(),
        };
        end(scene, project, *id, ready).await;
    }
}
