//! The API alone: it stores what it is asked for, and leaves what follows to processes with workers.

use std::process::ExitCode;

use aftercommit::Aftercommit;
use aftercommit::runtime::Roles;

#[tokio::main]
async fn main() -> ExitCode {
    let application = Aftercommit::from_env().reference_product().roles(Roles::none());
    aftercommit_api::wiring::register(application).run().await
}
