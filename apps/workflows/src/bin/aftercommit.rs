//! Everything in one process, and the command line, with Temporal.

use std::process::ExitCode;

use aftercommit_workflows::wiring::with_temporal;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_cli::main(with_temporal)).await
}
