//! Workflows and their activities, on one task queue of a Temporal server.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_workflows::main()).await
}
