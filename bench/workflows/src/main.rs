//! Workflows on Temporal, measured. `cargo run --release -p bench -- workflows --provider temporal --n N` runs it.
//!
//! N workflows of three activities each, 32 in flight: written for the SDK alone, and through the port, in turns. Then the
//! time from a commit to the first line of the workflow it starts, beside that of the engine alone. One JSON line last.

mod latency;
mod native;
mod places;
mod ported;
mod report;
mod throughput;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde_json::json;

use places::Places;
use worker::System;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Workflows on Temporal, beside the same written for its SDK alone.
///
/// TEMPORAL_ADDRESS, DATABASE_URL (an empty database) and AMQP_URL name servers; what is not named is started for the run,
/// Temporal in memory, and gone afterwards. `temporal` must be on the PATH then, or be named by AFTERCOMMIT_TEST_TEMPORAL_BIN.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    worker: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Parser)]
struct Options {
    /// What runs the workflows
    #[arg(long, value_enum, default_value = "temporal")]
    provider: Provider,
    /// How many workflows a round has
    #[arg(long, default_value_t = 1_000)]
    n: usize,
    /// How many workflows are started by a commit, one after another, to see how long that takes
    #[arg(long, default_value_t = 200)]
    commits: usize,
    /// How many rounds there are of each
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Without the broker's latency, which needs RabbitMQ
    #[arg(long)]
    no_broker: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Provider {
    Temporal,
}

#[derive(Subcommand)]
enum Role {
    /// The worker of a round, in a process of its own, until its standard input ends
    #[command(hide = true)]
    Worker {
        /// Whose worker
        system: System,
        /// Where Temporal is
        address: String,
        /// What it takes from
        task_queue: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.worker {
        Some(Role::Worker {
            system,
            address,
            task_queue,
        }) => worker::run(system, &address, &task_queue).await,
        None => Box::pin(measure(arguments.options)).await,
    };
    match result {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: Options) -> Result<String, BoxError> {
    let Provider::Temporal = options.provider;
    let places = Places::open(!options.no_broker).await;
    let throughput = throughput::measure(places.temporal(), options.n, options.rounds).await?;
    let mut latencies = serde_json::Map::new();
    for (name, place) in places.databases() {
        let figures = latency::measure(place, places.temporal(), options.commits).await?;
        latencies.insert(name.to_owned(), figures);
    }
    let line = json!({
        "system": "aftercommit", "workload": "workflows", "provider": "temporal", "n": options.n, "rounds": options.rounds,
        "in_flight": throughput::IN_FLIGHT, "activities_each": 3, "throughput": throughput, "commits": options.commits,
        "commit_to_first_line": latencies,
    });
    Ok(line.to_string())
}
