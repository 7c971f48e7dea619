//! Workflows of the reference product on Temporal, and the programs that start them there.
//!
//! In the workspace of the adapter, so that the ordinary build never compiles the SDK. The programs `aftercommit` and
//! `aftercommit-workers` of this package are those of the ordinary build with Temporal beside.

#![warn(missing_docs)]

mod arguments;
pub mod wiring;

use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::runtime::Roles;
use aftercommit::{Aftercommit, report};

use arguments::Arguments;

/// Runs the workflows and activities of one task queue until it is told to stop, and answers the exit status.
pub async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe has seen enough.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let settings = match Settings::load_with(arguments.variables()) {
        Ok(settings) => settings,
        Err(errors) => return report(&errors.into()),
    };
    if settings.temporal.is_none() {
        return report(&wiring::no_address());
    }
    let application = wiring::with_temporal(Aftercommit::from_env().reference_product()).roles(Roles::none());
    Box::pin(aftercommit_workers::wiring::register_workflows(application).run_with(settings))
        .await
        .unwrap_or_else(|error| report(&error))
}
