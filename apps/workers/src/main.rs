//! The workers alone: relay, dispatcher, topics and maintenance.

use std::process::ExitCode;

use aftercommit::Aftercommit;
use aftercommit::domain::reference;

#[tokio::main]
async fn main() -> ExitCode {
    let application = Aftercommit::from_env()
        .events(reference::catalogue())
        .routes(reference::routes());
    aftercommit_workers::wiring::register(application).run().await
}
