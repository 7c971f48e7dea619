//! A workflow of a shop, as an application would write it: an order is paid, packed by parts, and shipped, or all of it is
//! taken back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aftercommit_domain::contract::{ActivityName, Cause, Codec, OrganizationId, ProjectId, SignalName};
use aftercommit_domain::time::{days, seconds};
use aftercommit_domain::workflows::{
    Activity, ActivityContext, ActivityError, ActivityOptions, Either, Exit, SignalRequest, StartRequest, StepError,
    Workflow, WorkflowContext, WorkflowInput, WorkflowRegistry, WorkflowSignal,
};
use aftercommit_testkit::{TestServices, WorkflowTrial};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// An order of three parts.
#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "fulfil-order", version = 1)]
pub(crate) struct FulfilOrder {
    pub(crate) organization_id: OrganizationId,
    pub(crate) project_id: ProjectId,
    pub(crate) order_id: i64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Approved;

impl WorkflowSignal for Approved {
    const NAME: SignalName = SignalName::constant("approved");
}

/// What is in the world, by idempotency key: what comes twice under one key is one thing.
#[derive(Clone, Default)]
pub(crate) struct Shop(Arc<Mutex<BTreeMap<String, String>>>);

impl Shop {
    /// What was done, in order of names.
    pub(crate) fn done(&self) -> Vec<String> {
        let mut done: Vec<_> = self.0.lock().unwrap().values().cloned().collect();
        done.sort();
        done
    }
}

struct Do(Shop);

#[async_trait]
impl Activity for Do {
    const NAME: ActivityName = ActivityName::constant("do");
    type Input = String;
    type Output = String;

    async fn run(&self, what: String, ctx: &ActivityContext) -> Result<String, ActivityError> {
        let mut done = self.0.0.lock().unwrap();
        done.insert(ctx.idempotency_key().to_string(), what.clone());
        Ok(what)
    }
}

/// The child that packs one part.
#[derive(Serialize, Deserialize, WorkflowInput)]
#[workflow(name = "pack-part", version = 1)]
struct PackPart {
    organization_id: OrganizationId,
    project_id: ProjectId,
    part: u32,
}

struct Packing;

#[async_trait]
impl Workflow for Packing {
    type Input = PackPart;
    type Output = u32;

    async fn run(&self, ctx: &WorkflowContext, input: PackPart) -> Result<u32, Exit> {
        done(ctx, &format!("pack {}", input.part)).await?;
        Ok(input.part)
    }
}

struct Fulfilling {
    /// A mistake: it asks for the money in another place than the release before.
    charges_late: bool,
}

#[async_trait]
impl Workflow for Fulfilling {
    type Input = FulfilOrder;
    type Output = Vec<u32>;

    async fn run(&self, ctx: &WorkflowContext, input: FulfilOrder) -> Result<Vec<u32>, Exit> {
        match self.fulfil(ctx, &input).await {
            Ok(parts) => Ok(parts),
            Err(StepError::Cancelled) => {
                done(&ctx.detached(), "refund").await?;
                Err(Exit::Cancelled)
            }
            Err(StepError::Failed(failure)) => Err(failure.into()),
        }
    }
}

impl Fulfilling {
    async fn fulfil(&self, ctx: &WorkflowContext, input: &FulfilOrder) -> Result<Vec<u32>, StepError> {
        if !self.charges_late {
            done(ctx, "charge").await?;
        }
        let approved = ctx.either(ctx.wait_signal::<Approved>(), ctx.sleep(days(3))).await;
        if let Either::Second(slept) = approved {
            slept?;
            done(ctx, "remind").await?;
        }
        ctx.sleep(seconds(5)).await?;
        let pack = |part| {
            let input = PackPart {
                organization_id: input.organization_id.clone(),
                project_id: input.project_id.clone(),
                part,
            };
            ctx.child::<Packing>(format!("{}-{part}", ctx.workflow_id().key()), &input)
        };
        let parts: Result<Vec<u32>, StepError> = ctx.join_all((1..=3).map(pack)).await.into_iter().collect();
        let parts = parts?;
        done(ctx, "ship").await?;
        Ok(parts)
    }
}

async fn done(ctx: &WorkflowContext, what: &str) -> Result<String, StepError> {
    ctx.activity::<Do>(&what.to_owned(), ActivityOptions::attempts(3)).await
}

pub(crate) fn registry(codec: &Codec, shop: &Shop, charges_late: bool) -> WorkflowRegistry {
    WorkflowRegistry::new(codec.clone())
        .with_workflow(Fulfilling { charges_late })
        .and_then(|registry| registry.with_workflow(Packing))
        .and_then(|registry| registry.with_activity(Do(shop.clone())))
        .unwrap()
}

pub(crate) fn start(services: &TestServices) -> StartRequest {
    let order = FulfilOrder {
        organization_id: 7.into(),
        project_id: 8.into(),
        order_id: 9,
    };
    let id = services.envelopes.new_id();
    StartRequest::new(&services.envelopes, id, order.order_id, &order, &Cause::root()).unwrap()
}

/// The order in a shop of its own, approved at once or never.
pub(crate) fn trial(services: &TestServices, is_approved: bool) -> WorkflowTrial<Vec<String>> {
    let (shop, start) = (Shop::default(), start(services));
    let approve = || {
        SignalRequest::new(
            &services.envelopes,
            services.envelopes.new_id(),
            start.id.clone(),
            &Approved,
        )
    };
    WorkflowTrial {
        registry: registry(&services.codec, &shop, false),
        signals: if is_approved { vec![approve().unwrap()] } else { vec![] },
        start,
        effects: Box::new(move || shop.done()),
        // Whatever was taken is given back.
        may_be_cancelled_so: Box::new(|_, done| done.contains(&"refund".to_owned())),
    }
}
