//! The API alone: it stores what it is asked for, and leaves what follows to processes with workers.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_api::main()).await
}
