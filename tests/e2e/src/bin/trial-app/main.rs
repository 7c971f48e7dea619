//! A small application on any provider whose handler does what its task says: succeed, fail, take its time, take its process
//! down. The tests of attempts and of stops run it.

mod contract;
mod handler;
mod journal;
mod orders;

use std::path::PathBuf;
use std::process::ExitCode;

use aftercommit::prelude::*;
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// The file in which every run is noted before it does anything.
    #[arg(long, default_value = "runs.jsonl")]
    journal: PathBuf,
    /// The folder in which a file of a trial's number ends what waits for it.
    #[arg(long, default_value = "switches")]
    switches: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { journal, switches } = Arguments::parse();
    Aftercommit::from_env()
        .source("/trial-app")
        .events(contract::events())
        .routes(contract::routes())
        .topics(async move |kit| {
            Ok(vec![
                handler::topic(&kit, &journal, switches)?,
                handler::refreshes(&journal)?,
            ])
        })
        .http(async |kit| Ok(orders::router(kit)))
        .run()
        .await
}
