//! One file for each command; this one calls them.

mod bulk;
mod config;
mod dead_letters;
mod demo;
mod doctor;
mod events;
mod migrate;
mod outbox;
mod pauses;
mod routes;
mod run;
mod schedules;
mod tasks;
mod topics;
mod tree;
mod workflows;

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use aftercommit::config::Settings;
use aftercommit::domain::time::Timestamp;

use crate::admin_client::{AdminClient, Answer};
use crate::cli::{Cli, Command, Config, Output};
use crate::command_error::CommandError;

/// Does what was typed, and answers the exit status.
pub(crate) async fn execute(cli: Cli) -> ExitCode {
    let result = match cli.command.unwrap_or(Command::Run) {
        Command::Run => return Box::pin(run::run()).await,
        Command::Demo(arguments) => {
            return Box::pin(demo::execute(arguments))
                .await
                .unwrap_or_else(|error| error.report());
        }
        Command::Doctor(output) => {
            return Box::pin(doctor::execute(output))
                .await
                .unwrap_or_else(|error| error.report());
        }
        Command::Config(Config::Check(output)) => config::check(output),
        Command::Config(Config::Reference(output)) => Ok(config::reference(output)),
        Command::Migrate(command) => migrate::execute(command).await,
        Command::Events(command) => events::execute(command).await,
        Command::Tasks(command) => tasks::execute(command).await,
        Command::DeadLetters(command) => dead_letters::execute(command).await,
        Command::Outbox(command) => with_client(async |client| outbox::execute(client, command).await).await,
        Command::Schedules(command) => with_client(async |client| schedules::execute(client, command).await).await,
        Command::Workflows(command) => workflows::execute(command).await,
        Command::Topics(command) => with_client(async |client| topics::execute(client, command).await).await,
        Command::Pause(command) => {
            with_client(async |client| pauses::pause(client, command.target, command.terms).await).await
        }
        Command::Resume(command) => {
            with_client(async |client| pauses::resume(client, command.target, command.output).await).await
        }
        Command::Pauses(output) => with_client(async |client| pauses::list(client, output).await).await,
        Command::Routes(command) => with_client(async |client| routes::execute(client, &command).await).await,
    };
    match result.and_then(|text| print(&text)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Connects, asks, and closes whatever the answer is.
async fn with_client<T>(ask: impl AsyncFnOnce(&AdminClient) -> Result<T, CommandError>) -> Result<T, CommandError> {
    let client = AdminClient::connect(Settings::load()?).await?;
    let result = ask(&client).await;
    client.close().await;
    result
}

/// The document itself, or what `describe` makes of it for people.
fn rendered(
    answer: &Answer,
    output: Output,
    describe: impl FnOnce(&Answer) -> Result<String, CommandError>,
) -> Result<String, CommandError> {
    if output.json {
        Ok(answer.json())
    } else {
        describe(answer)
    }
}

/// A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(CommandError::Output(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What to say when something was ordered and it is not known here who does it.
fn goes_on(client: &AdminClient) -> String {
    if client.is_shared() {
        "It goes on in whichever process of this database handles it.\n".to_owned()
    } else {
        format!("No process runs; it goes on when one does:\n  {} run\n", program())
    }
}

/// How this program was called, for commands to copy.
pub(crate) fn program() -> String {
    let called = std::env::args().next().unwrap_or_default();
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '/' | '.' | '_' | '-');
    if !called.is_empty() && called.chars().all(plain) {
        called
    } else {
        "aftercommit".into()
    }
}

/// A time with milliseconds, in UTC.
fn shown(time: Timestamp) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
