//! The workers alone: relay, dispatcher, topics, scheduler and maintenance, or those of them that are asked for.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_workers::main(|application| application)).await
}
