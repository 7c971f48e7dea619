//! The workers alone: relay, dispatcher, topics, scheduler and maintenance, or those of them that are asked for.

mod arguments;

use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::{Aftercommit, report};

use arguments::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
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
    let application = Aftercommit::from_env().reference_product();
    Box::pin(aftercommit_workers::wiring::register(application).run_with(settings))
        .await
        .unwrap_or_else(|error| report(&error))
}
