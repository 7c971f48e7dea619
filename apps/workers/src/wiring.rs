//! Registers the workers with an application.

use aftercommit::domain::reference::schedules;
use aftercommit::{Aftercommit, Kit, StartupError};

use crate::{HandlerPorts, Rails, topics, workflows};

/// Adds the reference product's topics and schedules to `application`.
pub fn register(application: Aftercommit) -> Aftercommit {
    let application = schedules().into_iter().fold(application, Aftercommit::schedule);
    application.topics(async |kit| Ok(topics(ports(kit).await?)))
}

/// Adds the reference product's workflows to `application`, which runs them if it has an engine.
pub fn register_workflows(application: Aftercommit) -> Aftercommit {
    application.workflows(async |kit| Ok(workflows(&ports(kit).await?)))
}

async fn ports(kit: Kit) -> Result<HandlerPorts, StartupError> {
    let rails = Rails {
        events: kit.events_publisher(),
        queue: kit.queue_publisher(),
        envelopes: kit.envelopes().clone(),
    };
    let (reference, email) = (kit.reference_ports().await?, kit.email_sender()?);
    HandlerPorts::new(reference, email, kit.webhook_sender()?, rails)
        .map_err(|error| StartupError::Application(error.to_string()))
}
