//! What stands before anything of the application's own.

use std::sync::Arc;

use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_platform_config::Settings;

use crate::data_directory;
use crate::providers::{self, Providers, Purpose, System};
use crate::startup::StartupError;

/// What stands before anything of the application's own.
pub(crate) struct Foundation {
    pub(crate) system: System,
    pub(crate) envelopes: EnvelopeFactory,
    pub(crate) providers: Providers,
}

impl Foundation {
    pub(crate) async fn lay(settings: &Settings, source: Arc<str>, purpose: Purpose) -> Result<Self, StartupError> {
        data_directory::create(settings.data_dir.path())?;
        let system = System::new();
        let envelopes = providers::envelopes(settings, &system, source)?;
        let providers = providers::open(settings, &system, &envelopes, purpose).await?;
        Ok(Self {
            system,
            envelopes,
            providers,
        })
    }
}
