//! Registers the API with an application.

use aftercommit::Aftercommit;

use crate::{ApiState, router};

/// Adds the reference product's events and its API to `application`.
pub fn register(application: Aftercommit) -> Aftercommit {
    application.http(async |kit| {
        let reference = kit.reference_ports().await?;
        let state = ApiState::new(reference, kit.events_publisher(), kit.envelopes().clone());
        Ok(router(state.with_downloads(kit.downloads()?)))
    })
}
