//! The checks and the tests of this workspace, the same here and in CI.
//!
//! `cargo xtask check` looks at form: formatting, lints, each kit package alone, documentation, third parties.
//! `cargo xtask test` runs every test, counts them, and ends with one line: `N passed, M failed`.

mod adopt;
mod check;
mod example;
mod expected;
mod kit;
mod postgres;
mod step;
mod tally;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::test::Pass;

#[derive(Parser)]
#[command(about = "Checks and tests of this workspace", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Formatting, lints, each kit package alone, documentation, third parties.
    Check,
    /// Every test. The last line is `N passed, M failed`.
    Test {
        /// Runs only these passes, in the order they always have.
        #[arg(long = "pass", value_enum)]
        passes: Vec<Pass>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Check => check::run(),
        Command::Test { passes } => test::run(&passes),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
