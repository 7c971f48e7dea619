//! A small application on PostgreSQL that keeps books of itself: what its producers committed, and what its handlers did.
//! The tests of faults run it as many processes and compare the books.

mod contract;
mod engine;
mod ledger;
mod producer;
mod recorder;

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use aftercommit::config::Settings;
use aftercommit::prelude::*;
use aftercommit::runtime::Roles;
use aftercommit::telemetry::{LogFormat, LogOptions};
use clap::{Parser, Subcommand};

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Commits events one after the other, notes each commit's answer in a file, and ends.
    Produce(Producing),
    /// Runs loops until SIGTERM.
    Work(Working),
}

#[derive(clap::Args)]
pub(crate) struct Producing {
    /// The file with the answers.
    #[arg(long)]
    pub(crate) ledger: PathBuf,
    #[arg(long)]
    pub(crate) events: u64,
    #[arg(long)]
    pub(crate) aggregates: i64,
    #[arg(long)]
    pub(crate) seed: u64,
    /// The longest rest between two events, in milliseconds.
    #[arg(long)]
    pub(crate) rest: u64,
    /// Writes through a pool of the application's own instead of the kit's transactions.
    #[arg(long)]
    pub(crate) own_pool: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[derive(clap::Args)]
pub(crate) struct Working {
    #[arg(long)]
    pub(crate) name: String,
    /// How long relay and workers keep what they took without a sign of life, in milliseconds.
    #[arg(long)]
    pub(crate) lease: u64,
    /// Moves the outbox.
    #[arg(long)]
    pub(crate) relay: bool,
    /// Publishes and marks one after the other, as where the queue is elsewhere.
    #[arg(long)]
    pub(crate) stepwise: bool,
    /// Looks routes up.
    #[arg(long)]
    pub(crate) dispatcher: bool,
    /// Runs handlers.
    #[arg(long)]
    pub(crate) topics: bool,
    /// How long a handler takes, in milliseconds.
    #[arg(long, default_value_t = 2)]
    pub(crate) takes: u64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse().mode).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever reads the log finds it there; nobody else can be told.
            let _ = writeln!(std::io::stderr(), "ledger-app: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mode: Mode) -> Result<(), Failed> {
    let settings = Settings::load()?;
    let mut log = LogOptions::new(settings.log.filter.clone(), LogFormat::Pretty);
    log.ansi = false;
    aftercommit::telemetry::init(&log)?;
    // Loops with a shorter lease than the facade's are started beside it, so it runs none itself.
    let opened = Aftercommit::from_env()
        .source("/ledger-app")
        .events(contract::events())
        .routes(contract::routes())
        .topics(async |kit| Ok(vec![recorder::topic(&kit, "nobody", Duration::ZERO)?]))
        .roles(Roles::none())
        .open(settings)
        .await?;
    let kit = opened.kit().clone();
    // The line that the tests wait for.
    writeln!(std::io::stdout(), "ready")?;
    match mode {
        Mode::Produce(producing) => producer::produce(&kit, &producing).await?,
        Mode::Work(working) => {
            engine::run(&kit, &working, Duration::from_millis(working.lease)).await?;
        }
    }
    opened.close().await;
    Ok(())
}
