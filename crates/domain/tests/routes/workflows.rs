//! Workflows that follow from an event.

use aftercommit_domain::contract::{EncodeError, OrganizationId, ProjectId, SignalName, Tenant, WorkflowKey};
use aftercommit_domain::events::{RouteError, Routes, signal, signal_with_start, start, start_external};
use aftercommit_domain::workflows::{WorkflowId, WorkflowInput, WorkflowRequest, WorkflowSignal};
use serde::{Deserialize, Serialize};

use crate::{InvoicePaid, dispatched, enveloped, factory, paid, tasks};

#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "collect-payment", version = 1)]
struct CollectPayment {
    organization_id: OrganizationId,
    project_id: ProjectId,
}

#[derive(Serialize, Deserialize)]
struct Paid {
    invoice_id: i64,
}

impl WorkflowSignal for Paid {
    const NAME: SignalName = SignalName::constant("paid");
}

fn collect(event: &InvoicePaid) -> CollectPayment {
    CollectPayment {
        organization_id: event.organization_id.clone(),
        project_id: event.project_id.clone(),
    }
}

fn id(event: &InvoicePaid, key: &'static str) -> WorkflowId {
    WorkflowId::new(
        aftercommit_domain::contract::Contract::tenant(event),
        CollectPayment::NAME,
        WorkflowKey::constant(key),
    )
}

#[test]
fn an_event_that_comes_again_asks_its_workflows_for_the_same_and_in_the_same_order() {
    let routes = Routes::new().on(|event: &InvoicePaid| {
        let paid = Paid {
            invoice_id: event.invoice_id,
        };
        (
            start("a", collect(event)),
            start("b", collect(event)),
            signal(id(event, "a"), paid),
        )
    });
    let event = enveloped(&paid(&[]));
    let first = tasks(&routes, &event);
    let requests: Vec<_> = first
        .iter()
        .map(|task| WorkflowRequest::from_task(task).unwrap())
        .collect();
    let [
        WorkflowRequest::Start(a),
        WorkflowRequest::Start(b),
        WorkflowRequest::Signal(told),
    ] = requests.as_slice()
    else {
        panic!("{requests:?}")
    };
    assert_eq!((a.id.key().as_str(), b.id.key().as_str()), ("a", "b"));
    assert_eq!((told.id.clone(), told.request_id), (a.id.clone(), first[2].id));
    assert_eq!(
        first[0].ordering(),
        first[2].ordering(),
        "the start comes before its signal"
    );
    let ids =
        |tasks: &[aftercommit_domain::contract::TaskEnvelope]| tasks.iter().map(|task| task.id).collect::<Vec<_>>();
    assert_eq!(ids(&tasks(&routes, &event)), ids(&first));
    let turned = Routes::new().on(|event: &InvoicePaid| (start("b", collect(event)), start("a", collect(event))));
    let turned = ids(&tasks(&turned, &event));
    assert_eq!(
        turned,
        [first[1].id, first[0].id],
        "they are told apart by what they start"
    );
}

#[test]
fn a_workflow_that_follows_twice_or_under_a_key_out_of_bounds_is_a_mistake_in_the_route() {
    let event = enveloped(&paid(&[]));
    let codec = crate::factory().codec().clone();
    let twice = Routes::new().on(|event: &InvoicePaid| (start("a", collect(event)), start("a", collect(event))));
    assert!(matches!(
        twice.dispatch(&event, &codec),
        Err(RouteError::Duplicate { .. })
    ));
    let long = Routes::new().on(|event: &InvoicePaid| start("x".repeat(201), collect(event)));
    assert!(matches!(long.dispatch(&event, &codec), Err(RouteError::Key { .. })));
}

#[test]
fn signals_of_an_event_are_the_same_requests_whatever_else_a_later_build_tells() {
    let event = enveloped(&paid(&[]));
    let told = |event: &InvoicePaid| Paid {
        invoice_id: event.invoice_id,
    };
    let ids = |routes: &Routes| tasks(routes, &event).iter().map(|task| task.id).collect::<Vec<_>>();
    let before = ids(&Routes::new().on(move |event: &InvoicePaid| {
        (
            signal(id(event, "a"), told(event)),
            signal(id(event, "b"), told(event)),
            signal(id(event, "b"), told(event)).key("again"),
        )
    }));
    let after = ids(&Routes::new().on(move |event: &InvoicePaid| {
        (
            signal(id(event, "b"), told(event)),
            signal(id(event, "b"), told(event)).key("again"),
        )
    }));
    assert_eq!(after, [before[1], before[2]]);
    assert_eq!(before.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn a_workflow_that_is_told_the_same_thing_twice_without_a_key_is_a_mistake_in_the_route() {
    let event = enveloped(&paid(&[]));
    let codec = crate::factory().codec().clone();
    let twice = Routes::new().on(|event: &InvoicePaid| {
        let told = || Paid {
            invoice_id: event.invoice_id,
        };
        (signal(id(event, "a"), told()), signal(id(event, "a"), told()))
    });
    assert!(matches!(
        twice.dispatch(&event, &codec),
        Err(RouteError::Duplicate { .. })
    ));
    let long = Routes::new().on(|event: &InvoicePaid| {
        let told = Paid {
            invoice_id: event.invoice_id,
        };
        signal(id(event, "a"), told).key("x".repeat(201))
    });
    assert!(matches!(long.dispatch(&event, &codec), Err(RouteError::Key { .. })));
}

#[test]
fn what_follows_from_an_event_is_of_its_tenant() {
    let event = enveloped(&paid(&[]));
    let organization = event.tenant.organization_id().unwrap().clone();
    let told = |tenant: Tenant| {
        let id = WorkflowId::new(tenant, CollectPayment::NAME, WorkflowKey::constant("a"));
        let routes = Routes::new().on(move |event: &InvoicePaid| {
            let invoice_id = event.invoice_id;
            signal(id.clone(), Paid { invoice_id })
        });
        let dispatches = dispatched(&routes, &event).unwrap();
        dispatches[0].1.envelope(&factory(), dispatches[0].0, &event)
    };
    let project = |organization: &str, project: &str| Tenant::Project {
        organization: OrganizationId::new(organization).unwrap(),
        project: ProjectId::new(project).unwrap(),
    };
    for of_others in [project("somebody", "else"), project(organization.as_str(), "sibling")] {
        let refused = told(of_others).map(|task| task.tenant);
        assert!(matches!(refused, Err(EncodeError::Tenant { .. })), "{refused:?}");
    }
    for its_own in [event.tenant.clone(), Tenant::Organization { organization }] {
        assert_eq!(told(its_own.clone()).unwrap().tenant, its_own);
    }
}

#[test]
fn an_event_may_tell_a_workflow_whether_it_runs_yet_or_not_and_start_one_of_another_program() {
    let routes = Routes::new().on(|event: &InvoicePaid| {
        let told = || Paid {
            invoice_id: event.invoice_id,
        };
        (
            signal_with_start("a", collect(event), told()),
            signal_with_start("a", collect(event), told()).key("again"),
            start_external("Dunning", "dunning-queue", "b", collect(event)),
        )
    });
    let event = enveloped(&paid(&[]));
    let tasks_of = tasks(&routes, &event);
    let requests: Vec<_> = tasks_of
        .iter()
        .map(|task| WorkflowRequest::from_task(task).unwrap())
        .collect();
    let [
        WorkflowRequest::SignalWithStart(first, told),
        WorkflowRequest::SignalWithStart(again, _),
        WorkflowRequest::Start(of_another),
    ] = requests.as_slice()
    else {
        panic!("{requests:?}")
    };
    assert_eq!((first.id.key().as_str(), &told.id), ("a", &first.id));
    assert_eq!((first.request_id(), told.request_id), (tasks_of[0].id, tasks_of[0].id));
    assert_eq!(
        tasks_of[0].ordering(),
        tasks_of[1].ordering(),
        "one workflow, one order"
    );
    assert_ne!(first.request_id(), again.request_id());
    let external = of_another.external.as_ref().unwrap();
    assert_eq!(
        (external.workflow_type(), external.task_queue()),
        ("Dunning", "dunning-queue")
    );
    let ids = |routes: &Routes| tasks(routes, &event).iter().map(|task| task.id).collect::<Vec<_>>();
    let only_the_second = Routes::new().on(|event: &InvoicePaid| {
        let invoice_id = event.invoice_id;
        signal_with_start("a", collect(event), Paid { invoice_id }).key("again")
    });
    assert_eq!(
        ids(&routes)[1..2],
        ids(&only_the_second),
        "whatever else a later build tells"
    );
}

#[test]
fn a_name_out_of_bounds_of_what_is_told_or_started_elsewhere_is_a_mistake_in_the_route() {
    let event = enveloped(&paid(&[]));
    let codec = crate::factory().codec().clone();
    let told = |event: &InvoicePaid| Paid {
        invoice_id: event.invoice_id,
    };
    let long =
        Routes::new().on(move |event: &InvoicePaid| signal_with_start("x".repeat(201), collect(event), told(event)));
    let twice = Routes::new().on(move |event: &InvoicePaid| {
        (
            signal_with_start("a", collect(event), told(event)),
            signal_with_start("a", collect(event), told(event)),
        )
    });
    let nobody = Routes::new().on(|event: &InvoicePaid| start_external("Dunning", "", "b", collect(event)));
    assert!(matches!(long.dispatch(&event, &codec), Err(RouteError::Key { .. })));
    assert!(matches!(
        twice.dispatch(&event, &codec),
        Err(RouteError::Duplicate { .. })
    ));
    assert!(matches!(nobody.dispatch(&event, &codec), Err(RouteError::Key { .. })));
}
