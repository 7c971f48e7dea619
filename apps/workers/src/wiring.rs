//! Registers the workers with an application.

use aftercommit::domain::reference::schedules;
use aftercommit::{Aftercommit, Kit, StartupError};

use crate::{HandlerPorts, Rails, startable_workflows, topics, workflows};

/// Adds the reference product's topics and schedules to `application`.
pub fn register(application: Aftercommit) -> Aftercommit {
    let application = schedules().into_iter().fold(application, Aftercommit::schedule);
    application.topics(async |kit| Ok(topics(ports(kit).await?)))
}

/// Adds the reference product's workflows to `application`, which runs them if it has an engine.
pub fn register_workflows(application: Aftercommit) -> Aftercommit {
    application.workflows(async |kit| {
        // Without an engine nothing is run, and nothing needs to be reached.
        if kit.workflow_starter().is_none() {
            return Ok(startable_workflows());
        }
        let codec = kit.envelopes().codec().clone();
        workflows(codec, &ports(kit).await?.for_workflows())
    })
}

/// Adds the reference product's workflows to `application`, which others run: operators can start them from here.
pub fn register_startable_workflows(application: Aftercommit) -> Aftercommit {
    application.workflows(async |_| Ok(startable_workflows()))
}

async fn ports(kit: Kit) -> Result<HandlerPorts, StartupError> {
    let rails = Rails {
        events: kit.events_publisher(),
        queue: kit.queue_publisher(),
        envelopes: kit.envelopes().clone(),
    };
    let has_workflow_engine = kit.workflow_starter().is_some();
    let (reference, email) = (kit.reference_ports().await?, kit.email_sender()?);
    HandlerPorts::new(reference, email, kit.webhook_sender()?, kit.object_storage()?, rails)
        .map_err(|error| StartupError::Application(error.to_string()))
        .map(|ports| ports.with_workflow_engine(has_workflow_engine))
}
