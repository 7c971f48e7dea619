//! The workers, with Temporal, which they start workflows on.

use std::process::ExitCode;

use aftercommit_workflows::wiring::with_temporal;

#[tokio::main]
async fn main() -> ExitCode {
    Box::pin(aftercommit_workers::main(with_temporal)).await
}
