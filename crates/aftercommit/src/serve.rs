//! Runs an opened application: listens, starts the loops, waits for the signal, stops in stages.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use aftercommit_platform_telemetry::MetricsHandle;
use aftercommit_runtime::lifecycle::StopOutcome;
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http;
use crate::http::connections::{self, ConnectionLimits};
use crate::kit::{Kit, Operations, reachable};
use crate::opened::Opened;
use crate::roles::ShownRoles;
use crate::run_file::{RemovedAtEnd, RunFile, RunFileError};
use crate::startup::StartupError;
use crate::stop_signals::{StopSignals, end_soon};
use crate::workflows::{GET_A_SERVER, Working};

/// How long open HTTP requests may take at the end.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// Takes the configured address. Also answers which one that is, as port 0 means any free port.
pub(crate) async fn listen(configured: SocketAddr) -> Result<(TcpListener, SocketAddr), StartupError> {
    let failed = |error: std::io::Error| StartupError::Listen {
        address: configured.to_string(),
        reason: error.to_string(),
    };
    let listener = TcpListener::bind(configured).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

pub(crate) async fn until_stopped(
    opened: Opened,
    listener: TcpListener,
    metrics: MetricsHandle,
) -> Result<ExitCode, StartupError> {
    let kit = opened.kit.clone();
    // Listened for before anybody can know of this process, so that no signal sent to it is missed.
    let prepared = StopSignals::listen()
        .map_err(|error| StartupError::Application(format!("signals cannot be listened for: {error}")))
        .and_then(|signals| Ok((signals, announce(&kit)?)));
    match prepared {
        Ok((signals, announced)) => Ok(serve(opened, listener, metrics, signals, announced).await),
        Err(error) => {
            kit.close().await;
            Err(error)
        }
    }
}

/// How the command line finds this process.
pub(crate) struct Announced {
    pub(crate) token: SecretString,
    run_file: RemovedAtEnd,
}

pub(crate) fn announce(kit: &Kit) -> Result<Announced, StartupError> {
    let token = admin_token(kit);
    let path = kit.settings().data_dir.run_file();
    let run_file = RunFile {
        url: format!("http://{}", reachable(kit.settings().http_addr)),
        token: token.clone(),
        pid: std::process::id(),
    };
    run_file.write(&path).map_err(|error| match error {
        RunFileError::Io { path, source } => StartupError::File {
            path,
            reason: source.to_string(),
        },
        RunFileError::Malformed { path, reason } => StartupError::File { path, reason },
    })?;
    Ok(Announced {
        token,
        run_file: RemovedAtEnd(path),
    })
}

async fn serve(
    opened: Opened,
    listener: TcpListener,
    metrics: MetricsHandle,
    signals: StopSignals,
    announced: Announced,
) -> ExitCode {
    let Opened {
        kit,
        engine,
        hosted,
        operations,
        router,
        next_steps,
        shown_roles,
    } = opened;
    let workflows = workflows(&kit, &operations);
    let knows_no_workflows = operations.workflows.is_empty();
    let app = http::router(operations, metrics, announced.token).fallback_service(router);
    // The loops first: until they are known, readiness would have nothing to say about them.
    let working = Working::start(engine, hosted, &kit);
    let close_http = CancellationToken::new();
    let mut server = JoinSet::new();
    server.spawn(connections::serve(
        listener,
        app,
        ConnectionLimits::default(),
        close_http.clone(),
    ));
    // Whoever reads may be gone already.
    let _ = std::io::stdout()
        .write_all(first_screen(&kit, &shown_roles, workflows.as_deref(), next_steps.as_deref()).as_bytes());
    if kit.inner.workflow_engine.is_none() && !knows_no_workflows {
        tracing::warn!("no engine runs workflows, and what is started waits; {GET_A_SERVER}");
    }
    tracing::info!(
        address = %kit.settings().http_addr,
        data_directory = %kit.settings().data_dir.path().display(),
        roles = shown_roles.roles,
        topics = shown_roles.topics,
        "started"
    );

    signals.first().await;
    tracing::info!("stopping: no new work is taken, running handlers may finish");
    let outcome = signals.stop(async move {
        let outcome = working.stop().await;
        failpoint!(SHUTDOWN_AFTER_ENGINE);
        close_http.cancel();
        if tokio::time::timeout(HTTP_GRACE, server.join_next()).await.is_err() {
            tracing::warn!("open HTTP requests were cut off");
        }
        drop(server);
        // Before the database is free for a successor, whose run file this must not take.
        drop(announced.run_file);
        failpoint!(SHUTDOWN_BEFORE_CLOSE);
        kit.close().await;
        tracing::info!(?outcome, "stopped");
        failpoint!(SHUTDOWN_AFTER_CLOSE);
        outcome
    });
    match outcome.await {
        Some(StopOutcome::Clean | StopOutcome::Cancelled) => ExitCode::SUCCESS,
        Some(StopOutcome::Overrun) => {
            end_soon();
            ExitCode::FAILURE
        }
        None => {
            tracing::warn!("stopped at once by a second signal; leases do the rest");
            end_soon();
            ExitCode::FAILURE
        }
    }
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

fn first_screen(kit: &Kit, shown_roles: &ShownRoles, workflows: Option<&str>, next_steps: Option<&str>) -> String {
    let settings = kit.settings();
    let address = reachable(settings.http_addr).to_string();
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
    if let Some(workflows) = workflows {
        let _ = writeln!(screen, "  workflows       {workflows}");
    }
    if let Some(roles) = &shown_roles.roles {
        let _ = writeln!(screen, "  roles           {roles}");
    }
    if let Some(topics) = &shown_roles.topics {
        let _ = writeln!(screen, "  topics          {topics}");
    }
    if let Some(text) = next_steps {
        let _ = writeln!(screen, "\n{}", text.replace("{address}", &address).trim_end());
    }
    let _ = writeln!(screen, "\n  Stop with Ctrl-C.\n");
    screen
}

/// Who runs workflows, where that is worth a word.
fn workflows(kit: &Kit, operations: &Operations) -> Option<String> {
    match &kit.inner.workflow_engine {
        Some(engine) => Some(engine.place()),
        None if operations.workflows.is_empty() => None,
        None => {
            Some("nobody runs them: they need TEMPORAL_ADDRESS, see `aftercommit doctor`; what is started waits".into())
        }
    }
}

fn database(settings: &aftercommit_platform_config::Settings) -> String {
    use aftercommit_platform_config::Database;
    match &settings.database {
        Database::Sqlite(path) => format!("SQLite, {}", path.display()),
        Database::Postgres(postgres) => format!("PostgreSQL, {}", postgres.url),
        other => format!("{other:?}"),
    }
}
