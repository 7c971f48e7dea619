//! `project-provisioning`: a project has everything it begins with, or nothing of it is left.

use aftercommit_domain::contract::{Cause, Tenant};
use aftercommit_domain::reference::projects::use_cases::{CreateProject, create_project, delete_project};
use aftercommit_domain::reference::projects::{ProjectService, ProjectServiceError, ProvisionProject};
use aftercommit_domain::reference::workflows::start_project_provisioning;
use aftercommit_domain::reference::{Progress, RequestContext};
use aftercommit_domain::workflows::{StartRequest, WorkflowEnd};
use aftercommit_testkit::reference::{ServiceCall, ServiceStep};
use aftercommit_testkit::{TestServices, WorkflowTrial, try_workflow};
use serde_json::Value;

use ProjectService::{Metering, Search, Storage};
use ServiceCall::{Close, Open};

use crate::golden::check_golden;
use crate::world::{World, now};

/// A project that is new, and what its commit asks for.
fn new_project(world: &World) -> (ProvisionProject, StartRequest) {
    let input = CreateProject { name: "New".into() };
    let request = RequestContext::default();
    let made = create_project(&world.harness.ports, &world.caller, &request, input);
    let task = ProvisionProject {
        organization_id: world.caller.organization_id.clone(),
        project_id: now(made).unwrap().project_id,
    };
    let progress = now(start_project_provisioning(&world.harness.ports, &Cause::root(), &task)).unwrap();
    assert_eq!(progress, Progress::Done(()));
    (task, world.start_request())
}

fn delete(world: &World, task: &ProvisionProject) {
    let request = RequestContext::default();
    now(delete_project(
        &world.harness.ports,
        &world.caller,
        &request,
        &task.project_id,
    ))
    .unwrap();
}

fn tenant(task: &ProvisionProject) -> Tenant {
    Tenant::project(&task.organization_id, &task.project_id)
}

type Left = (Vec<ProjectService>, bool);

fn trial(services: &TestServices, script: &[ServiceStep]) -> WorkflowTrial<Left> {
    let world = World::with(services);
    let (task, start) = new_project(&world);
    world.services.script(script.to_vec());
    WorkflowTrial {
        registry: world.registry(),
        start,
        signals: vec![],
        effects: Box::new(move || {
            (
                world.services.open_for(&tenant(&task)),
                world.is_provisioned(&task.project_id),
            )
        }),
        may_be_cancelled_so: Box::new(|end, left| *end == WorkflowEnd::Cancelled && *left == (vec![], false)),
    }
}

#[tokio::test]
async fn a_project_is_provisioned_once_or_nothing_of_it_is_left_whatever_goes_wrong_wherever() {
    let report = try_workflow(|services| trial(services, &[])).await;
    assert!(report.places >= 8 && report.attempts >= 4, "{report:?}");
}

#[tokio::test]
async fn a_provisioning_that_fails_leaves_nothing_whatever_else_goes_wrong_wherever() {
    let refused = ProjectServiceError::Refused { reason: "no".into() };
    // Whatever is opened first is there although it says no, and every later attempt meets the same.
    let script = vec![ServiceStep::AcceptThenFail(refused); 50];
    let report = try_workflow(|services| trial(services, &script)).await;
    assert!(report.places >= 2 && report.attempts >= 2, "{report:?}");
}

#[tokio::test]
async fn a_provisioning_that_fails_undoes_what_it_did_in_reverse() {
    let world = World::new();
    let (task, start) = new_project(&world);
    let refused = ProjectServiceError::Refused { reason: "no".into() };
    // It says no, and has done it: it is closed as well.
    world.services.script([
        ServiceStep::Accept,
        ServiceStep::Accept,
        ServiceStep::AcceptThenFail(refused),
    ]);
    let WorkflowEnd::Failed(failure) = world.run(start).await else {
        panic!("it was refused");
    };
    assert_eq!(failure.kind, "project_service.refused");
    assert_eq!(
        world.services.calls(),
        [
            Open(Storage),
            Open(Search),
            Open(Metering),
            Close(Metering),
            Close(Search),
            Close(Storage)
        ]
    );
    assert_eq!(world.services.open_for(&tenant(&task)), []);
    assert!(!world.is_provisioned(&task.project_id));
}

#[tokio::test]
async fn a_project_that_is_deleted_while_it_is_provisioned_leaves_nothing_open() {
    let world = World::new();
    let (task, start) = new_project(&world);
    delete(&world, &task);
    let WorkflowEnd::Failed(failure) = world.run(start).await else {
        panic!("it is gone");
    };
    assert_eq!(failure.kind, "project.gone");
    assert_eq!(world.services.open_for(&tenant(&task)), []);
}

#[tokio::test]
async fn the_history_of_a_provisioning_is_replayed() {
    let world = World::new();
    let (_, start) = new_project(&world);
    check_golden("project_provisioning_1", &world, start).await;
}

#[tokio::test]
async fn a_project_that_is_provisioned_or_gone_is_not_provisioned_again() {
    let world = World::new();
    let (task, start) = new_project(&world);
    assert_eq!(world.run(start).await, WorkflowEnd::Completed(Value::Null));
    assert!(world.is_provisioned(&task.project_id));
    let again = |world: &World| now(start_project_provisioning(&world.harness.ports, &Cause::root(), &task)).unwrap();
    assert_eq!(
        again(&world),
        Progress::NotWanted("the project was provisioned already")
    );
    delete(&world, &task);
    assert_eq!(again(&world), Progress::NotWanted("the project is gone"));
    assert_eq!(world.requests(), []);
}
