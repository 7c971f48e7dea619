//! `aftercommit run`

use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::report;

use crate::wiring;

pub(crate) async fn run() -> ExitCode {
    let settings = match Settings::load() {
        Ok(settings) => settings,
        Err(errors) => return report(&errors.into()),
    };
    let application = wiring::application().next_steps(wiring::next_steps(&settings));
    Box::pin(application.run_with(settings))
        .await
        .unwrap_or_else(|error| report(&error))
}
