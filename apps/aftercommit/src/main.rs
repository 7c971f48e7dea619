//! Everything in one process, and the command line.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    aftercommit_cli::main(|application| application).await
}
