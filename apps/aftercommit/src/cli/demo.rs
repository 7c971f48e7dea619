//! `demo`: what may be said about it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::Output;

pub(super) const EXAMPLES: &str = "\
It drives the process of the data directory, or the one at HTTP_ADDR. When none runs, it starts everything in this process, on
the configured database and data directory, and stops it at the end.

Examples:
  aftercommit demo
  aftercommit demo --rate 100 --for 2m
  aftercommit demo --temporary --seed 7 --json
  aftercommit demo --url http://10.0.0.1:9090 --url http://10.0.0.2:9090 --ledger requests.jsonl

Exit status: 0 everything came to its end, 1 something was lost, doubled or is stuck.";

/// What may be said about a demonstration.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Requests per second, on average.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rate: u32,
    /// How long requests are made, such as 30s or 5m.
    #[arg(long = "for", value_name = "DURATION", default_value = "30s", value_parser = span)]
    pub(crate) length: Duration,
    /// How long is waited at the end, at most, until everything is over.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = span)]
    pub(crate) patience: Duration,
    /// What the traffic is drawn from: the same number makes the same requests. Drawn itself when it is not given.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Where the product is; may be given more than once, for several processes of it.
    #[arg(long, value_name = "URL", conflicts_with = "temporary")]
    pub(crate) url: Vec<url::Url>,
    /// Where the processes write their e-mails; may be given more than once. The folder `mail` of the data directory when it is
    /// not given.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) mail: Vec<PathBuf>,
    /// Start everything in this process on a directory that is removed at the end, whatever runs elsewhere.
    #[arg(long)]
    pub(crate) temporary: bool,
    /// Write down every request before it is made and every answer, one JSON document per line, each durable before the next
    /// step.
    #[arg(long, value_name = "FILE")]
    pub(crate) ledger: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let day = Duration::from_hours(24);
    if (Duration::from_millis(100)..=day).contains(&span) {
        Ok(span)
    } else {
        Err("must be between 100ms and 1d".into())
    }
}
