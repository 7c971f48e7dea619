//! Everything in one process, and the command line.

mod admin_client;
mod cli;
mod command_error;
mod commands;
mod confirmation;
mod demo;
#[cfg(test)]
mod fuzz;
mod indented_json;
mod opened_file;
mod payload;
mod printable;
mod running_process;
mod sealed_values;
mod table;
mod time_arguments;
mod wiring;

use std::ffi::OsString;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match cli::Cli::read(&arguments) {
        Ok(cli) => commands::execute(cli).await,
        Err(no_command) => {
            no_command.print();
            ExitCode::from(no_command.exit_code())
        }
    }
}
