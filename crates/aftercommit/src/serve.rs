//! Runs an opened application: listens, starts the loops, waits for the signal, stops in stages.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use aftercommit_platform_telemetry::MetricsHandle;
use aftercommit_runtime::lifecycle::StopOutcome;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::application::Opened;
use crate::http;
use crate::kit::Kit;
use crate::run_file::RunFile;
use crate::startup::StartupError;

/// How long open HTTP requests may take at the end.
const HTTP_GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn until_stopped(opened: Opened, metrics: MetricsHandle) -> Result<ExitCode, StartupError> {
    let Opened {
        kit,
        engine,
        operations,
        router,
        next_steps,
    } = opened;
    let configured = kit.settings().http_addr;
    let listen_failed = |error: std::io::Error| StartupError::Listen {
        address: configured.to_string(),
        reason: error.to_string(),
    };
    let listener = TcpListener::bind(configured).await.map_err(listen_failed)?;
    let address = listener.local_addr().map_err(listen_failed)?;
    let token = admin_token(&kit);
    let run_file_path = kit.settings().data_dir.run_file();
    let run_file = RunFile {
        url: format!("http://{address}"),
        token: token.clone(),
        pid: std::process::id(),
    };
    run_file.write(&run_file_path).map_err(|error| StartupError::File {
        path: run_file_path.display().to_string(),
        reason: error.to_string(),
    })?;

    // Listened for before the first screen appears, so that no signal sent after it is missed.
    let mut signals = Signals::new().map_err(|error| StartupError::Application(error.to_string()))?;
    let app = http::router(operations, metrics, token).merge(router);
    let (close_http, closed) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = closed.await;
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "the HTTP server outlives the loops' stop, so it is awaited here"
    )]
    let server = tokio::spawn(server.into_future());
    let engine = engine.start(kit.health());
    print!("{}", first_screen(&kit, &address.to_string(), next_steps.as_deref()));
    tracing::info!(%address, data_directory = %kit.settings().data_dir.path().display(), "started");

    signals.next().await;
    tracing::info!("stopping: no new work is taken, running handlers may finish");
    let outcome = tokio::select! {
        outcome = engine.stop() => outcome,
        () = signals.next() => {
            tracing::warn!("stopped at once by a second signal; leases do the rest");
            RunFile::remove(&run_file_path);
            return Ok(ExitCode::FAILURE);
        }
    };
    let _ = close_http.send(());
    if tokio::time::timeout(HTTP_GRACE, server).await.is_err() {
        tracing::warn!("open HTTP requests were cut off");
    }
    kit.close().await;
    RunFile::remove(&run_file_path);
    tracing::info!(?outcome, "stopped");
    Ok(match outcome {
        StopOutcome::Clean | StopOutcome::Cancelled => ExitCode::SUCCESS,
        StopOutcome::Overrun => ExitCode::FAILURE,
    })
}

/// The configured token, or one for this run.
fn admin_token(kit: &Kit) -> SecretString {
    kit.settings().admin.token.clone().unwrap_or_else(|| {
        let mut bytes = [0; 24];
        kit.randomness().fill(&mut bytes);
        let mut text = String::with_capacity(48);
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        SecretString::from(text)
    })
}

fn first_screen(kit: &Kit, address: &str, next_steps: Option<&str>) -> String {
    let settings = kit.settings();
    let mail = settings.mail.smtp.as_ref().map_or_else(
        || format!("files in {}", settings.mail.dir.display()),
        |smtp| format!("SMTP at {}:{}", smtp.host, smtp.port),
    );
    let mut screen = String::new();
    let _ = writeln!(screen, "\n  Aftercommit {} is running\n", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(
        screen,
        "  address         http://{address}   (/health /ready /metrics /admin/v1)"
    );
    let _ = writeln!(screen, "  data directory  {}", settings.data_dir.path().display());
    let _ = writeln!(screen, "  database        {}", database(settings));
    let _ = writeln!(screen, "  e-mail          {mail}");
    if let Some(text) = next_steps {
        let _ = writeln!(screen, "\n{}", text.replace("{address}", address).trim_end());
    }
    let _ = writeln!(screen, "\n  Stop with Ctrl-C.\n");
    screen
}

fn database(settings: &aftercommit_platform_config::Settings) -> String {
    match &settings.database {
        aftercommit_platform_config::Database::Sqlite(path) => format!("SQLite, {}", path.display()),
        other => format!("{other:?}"),
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
