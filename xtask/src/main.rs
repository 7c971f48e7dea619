//! The checks and the tests of this workspace, the same here and in CI.
//!
//! `cargo xtask check` looks at form: formatting, lints, each kit package alone, documentation, third parties.
//! `cargo xtask test` runs every test, counts them, and ends with one line: `N passed, M failed`.
//! `cargo xtask soak` runs the fault tests with their full counts.
//! `cargo xtask mutants` takes guards out, one after the other, and sees that a test notices.

mod adopt;
mod check;
mod example;
mod expected;
mod fuzz;
mod guides;
mod interop;
mod kit;
mod mutants;
mod newest_postgres;
mod postgres;
mod programs;
mod python_program;
mod rabbitmq;
mod s3;
mod soak;
mod step;
mod tally;
mod temporal;
mod test;
mod test_program;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::soak::Part;
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
    /// Every test but those on Temporal. The last line is `N passed, M failed`.
    Test {
        /// Runs only these passes, in the order they always have. `temporal` runs when it is named.
        #[arg(long = "pass", value_enum)]
        passes: Vec<Pass>,
    },
    /// The fault tests with their full counts: more than an hour.
    Soak {
        /// Runs only these parts, in the order they always have.
        #[arg(long = "part", value_enum)]
        parts: Vec<Part>,
        /// Decides which fault comes when.
        #[arg(long, default_value_t = 20_261_124)]
        seed: u64,
        /// Writes the result to this file.
        #[arg(long)]
        record: Option<PathBuf>,
    },
    /// Takes guards out, one after the other: a test must notice each. About a quarter of an hour.
    Mutants {
        /// Only these.
        names: Vec<String>,
        /// Writes the table to this file.
        #[arg(long)]
        record: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Check => check::run(),
        Command::Test { passes } => test::run(&passes),
        Command::Soak { parts, seed, record } => soak::run(&parts, seed, record.as_deref()),
        Command::Mutants { names, record } => mutants::run(&names, record.as_deref()),
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
