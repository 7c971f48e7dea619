//! Workers of the reference product: one file for each task, under the name of its topic.
//!
//! A handler re-fetches, decides whether the work is still wanted, acts, and records; the steps that touch the database
//! are use cases of the domain, so that a handler reads as the order they happen in. [`topics`] is everything this
//! package owns.

#![warn(missing_docs)]

mod arguments;
mod built_in_services;
mod handlers;
mod ledger_billing;
mod ports;
mod templates;
mod topics;
pub mod wiring;
mod workflows;

use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::{Aftercommit, report};

use arguments::Arguments;

pub use ports::{HandlerPorts, Rails};
pub use templates::{TemplateError, Templates};
pub use topics::topics;
pub use workflows::{startable_workflows, workflows};

/// Does what was typed, and answers the exit status. `plug` gives the application what the program has beside.
pub async fn main(plug: fn(Aftercommit) -> Aftercommit) -> ExitCode {
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
    let application = plug(Aftercommit::from_env().reference_product());
    let application = wiring::register_startable_workflows(wiring::register(application));
    Box::pin(application.run_with(settings))
        .await
        .unwrap_or_else(|error| report(&error))
}
