//! The API alone. It needs no Temporal; it is built here as well, so that one build makes all four programs.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_api::main()).await
}
