//! Registers the workers with an application.

use aftercommit::{Aftercommit, StartupError};

use crate::{HandlerPorts, topics};

/// Adds the reference product's topics to `application`.
pub fn register(application: Aftercommit) -> Aftercommit {
    application.topics(async |kit| {
        let ports = HandlerPorts::new(kit.reference_ports().await?, kit.email_sender()?, kit.webhook_sender()?)
            .map_err(|error| StartupError::Application(error.to_string()))?;
        Ok(topics(ports))
    })
}
