//! Workloads on the real engine over a real provider, with outcomes, metrics and logs on. Each prints one JSON line last.
//!
//! `cargo run --release -p bench -- drain|rail|latency|enqueue|direct|coalesce|relay|commit --provider sqlite|postgres|amqp --n N [--keep]`
//! `cargo run --release -p bench -- compare --provider P --n N`
//! `cargo run --release -p bench -- workflows --provider temporal --n N`
//!
//! PostgreSQL is the server of `DATABASE_URL`; a database of its own is made there, and dropped unless it is kept. With `amqp`
//! the queue is on the broker of `AMQP_URL`, under names of its own.

mod coalescing;
mod commits;
mod compare;
mod contracts;
mod direct;
mod measured;
mod postgres;
mod relaying;
mod report;
mod rig;
mod workflows;
mod workloads;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Measures one workload and prints one JSON line.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    workload: Workload,
}

#[derive(Subcommand)]
enum Workload {
    /// N waiting no-op tasks, one worker, 50 handlers at once: tasks/s, the clock stopped at the last durable settle.
    Drain(Options),
    /// 16 producers commit events, each becomes one task: events/s from the first commit to the last durable settle.
    Rail(Options),
    /// At 20 a second into an idle engine: event commit to handler start, and direct publish to handler start.
    Latency(Options),
    /// N tasks, each its own durable write, 16 producers at once: tasks/s.
    Enqueue(Options),
    /// N tasks confirmed by the queue, published by the hundred: tasks/s.
    Direct(Options),
    /// N publishes that become fewer tasks, of 1 000 keys and of one, beside N that do not, in turns: publishes/s.
    Coalesce(Options),
    /// N waiting events, one relay, a publisher that only says yes: events/s, the clock stopped at the last durable mark.
    Relay(Options),
    /// 16 producers commit a business row and its event in one transaction, on PostgreSQL: commits/s.
    Commit(Options),
    /// Drain, enqueue and latency beside the peers' drivers that are installed, as one table.
    Compare(compare::Comparing),
    /// Workflows of three activities on Temporal, beside the same written for its SDK; a program of its own, which is built.
    Workflows(workflows::Passed),
}

/// What every workload takes.
#[derive(Parser, Clone)]
pub(crate) struct Options {
    /// Where the messages are kept.
    #[arg(long, value_enum, default_value = "sqlite")]
    provider: Provider,
    /// How many messages.
    #[arg(long, default_value_t = 20_000)]
    n: usize,
    /// What a commit means: `full` survives a power loss, `normal` may lose the last ones.
    #[arg(long, value_enum, default_value = "full")]
    synchronous: Synchronous,
    /// Where to work; a temporary directory otherwise.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Leaves the data for others to count.
    #[arg(long)]
    keep: bool,
    /// How many aggregates the events of `rail` belong to, in turns; 0: each has one of its own, as most writes have.
    #[arg(long, default_value_t = 0)]
    aggregates: u64,
    /// Events in the log before the relay starts (`relay` on PostgreSQL).
    #[arg(long, default_value_t = 0)]
    logged: u64,
    /// Keeps a transaction open that pins the horizon of the vacuum meanwhile (`relay` on PostgreSQL).
    #[arg(long)]
    pinned: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Sqlite,
    Postgres,
    /// PostgreSQL, and the queue on RabbitMQ.
    Amqp,
}

impl Provider {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Amqp => "amqp",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Synchronous {
    Full,
    Normal,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match Arguments::parse().workload {
        Workload::Drain(options) => workloads::drain(options).await,
        Workload::Rail(options) => workloads::rail(options).await,
        Workload::Latency(options) => workloads::latency(options).await,
        Workload::Enqueue(options) => workloads::enqueue(options).await,
        Workload::Direct(options) => direct::direct(options).await,
        Workload::Coalesce(options) => coalescing::coalesce(options).await,
        Workload::Compare(comparing) => compare::compare(&comparing).await,
        Workload::Workflows(passed) => workflows::workflows(&passed).await,
        Workload::Relay(options) => relaying::relay(options).await,
        Workload::Commit(options) => commits::commit(options).await,
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
