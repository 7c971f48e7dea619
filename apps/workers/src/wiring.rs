//! Registers the workers with an application.

use aftercommit::domain::reference::schedules;
use aftercommit::{Aftercommit, StartupError};

use crate::{HandlerPorts, Rails, topics};

/// Adds the reference product's topics and schedules to `application`.
pub fn register(application: Aftercommit) -> Aftercommit {
    let application = schedules().into_iter().fold(application, Aftercommit::schedule);
    application.topics(async |kit| {
        let rails = Rails {
            events: kit.events_publisher(),
            queue: kit.queue_publisher(),
            envelopes: kit.envelopes().clone(),
        };
        let (reference, email) = (kit.reference_ports().await?, kit.email_sender()?);
        let ports = HandlerPorts::new(reference, email, kit.webhook_sender()?, rails)
            .map_err(|error| StartupError::Application(error.to_string()))?;
        Ok(topics(ports))
    })
}
