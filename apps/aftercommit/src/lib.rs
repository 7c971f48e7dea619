//! Everything in one process, and the command line: what its programs have in common.

#![warn(missing_docs)]

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

use aftercommit::Aftercommit;

/// Does what was typed, and answers the exit status. `plug` gives every application that is made on the way what this program
/// has beside.
pub async fn main(plug: fn(Aftercommit) -> Aftercommit) -> ExitCode {
    wiring::plug_in(plug);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match cli::Cli::read(&arguments) {
        Ok(cli) => commands::execute(cli).await,
        Err(no_command) => {
            no_command.print();
            ExitCode::from(no_command.exit_code())
        }
    }
}
