//! Why a process does not start, in words for the person who starts it.

use std::fmt;
use std::io::Write as _;
use std::process::ExitCode;

use aftercommit_platform_config::{CONFIG_EXIT_CODE, ConfigErrors};
use aftercommit_runtime::StartError;

/// Why a process does not start.
///
/// Its `Debug` text is its message: a `main` that answers it as a `Box<dyn Error>` shows that text to people.
#[derive(thiserror::Error)]
pub enum StartupError {
    /// The configuration.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The log filter.
    #[error("AFTERCOMMIT_LOG__FILTER: {0}")]
    Log(String),
    /// Events, routes, topics and handlers do not fit together.
    #[error("{0}")]
    Declaration(#[from] StartError),
    /// The sealing keys.
    #[error("sealing keys: {0}")]
    Sealing(String),
    /// The database.
    #[error("database: {0}")]
    Database(String),
    /// The database, in a way that does not pass by itself: a wrong login, tables of another version.
    #[error("database: {0}")]
    WrongDatabase(String),
    /// The broker, in a way that does not pass by itself: a wrong login, queues that are not as they should be.
    #[error("AMQP_URL: {0}")]
    WrongBroker(String),
    /// The e-mail settings.
    #[error("SMTP_URL: {0}")]
    Email(String),
    /// The object storage.
    #[error("STORAGE_URL: {0}")]
    Storage(String),
    /// The provider exists but was not compiled in.
    #[error("{provider} is not compiled into this program; build `aftercommit` with its feature")]
    NotBuiltIn {
        /// Which.
        provider: String,
    },
    /// Workflows are to run on Temporal, and this program was built without it.
    #[error(
        "TEMPORAL_ADDRESS: Temporal is not compiled into this program; run the one that apps/workflows builds, or give the \
         application an engine with `.workflow_engine(…)`"
    )]
    NoWorkflowEngine,
    /// The settings of the workflow engine, in a way that does not pass by itself.
    #[error("TEMPORAL_ADDRESS: {0}")]
    WorkflowEngine(String),
    /// The application needs another kind of database than the configured one.
    #[error("DATABASE_URL: this application keeps its tables in {wanted}, and the URL names another kind of database")]
    OtherDatabase {
        /// What it needs.
        wanted: &'static str,
    },
    /// The address cannot be listened on.
    #[error("HTTP_ADDR: cannot listen on {address}: {reason}; stop what uses it or set another address")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        reason: String,
    },
    /// A file of the data directory.
    #[error("{path}: {reason}")]
    File {
        /// Which.
        path: String,
        /// Why.
        reason: String,
    },
    /// What the application does at start failed.
    #[error("{0}")]
    Application(String),
}

impl fmt::Debug for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StartupError {
    /// 78 for what a person must change in the configuration or the code, 1 for what may pass by itself.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::Log(_)
            | Self::Declaration(_)
            | Self::Sealing(_)
            | Self::Email(_)
            | Self::Storage(_)
            | Self::WrongDatabase(_)
            | Self::WrongBroker(_)
            | Self::NotBuiltIn { .. }
            | Self::NoWorkflowEngine
            | Self::WorkflowEngine(_)
            | Self::OtherDatabase { .. } => CONFIG_EXIT_CODE,
            Self::Database(_) | Self::Listen { .. } | Self::File { .. } | Self::Application(_) => 1,
        }
    }
}

/// Tells the person who started the process, on standard error, one line for each problem; answers the exit status.
pub fn report(error: &StartupError) -> ExitCode {
    let mut out = std::io::stderr().lock();
    for line in error.to_string().lines() {
        // Nobody may be listening; the exit status says it too.
        let _ = writeln!(out, "aftercommit: {line}");
    }
    ExitCode::from(error.exit_code())
}
