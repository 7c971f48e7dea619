//! Everything in one process, and the command line.

mod admin_client;
mod cli;
mod command_error;
mod commands;
mod confirmation;
mod indented_json;
mod opened_file;
mod payload;
mod printable;
mod running_process;
mod table;
mod time_arguments;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    commands::execute(cli::Cli::parse()).await
}
