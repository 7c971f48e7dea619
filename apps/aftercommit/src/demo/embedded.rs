//! The whole product in this process, for a demonstration when none runs.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use aftercommit::config::{DataDir, Settings, Successes};
use aftercommit::telemetry::{LogFormat, LogOptions, init_into, install_metrics};
use aftercommit::{Served, StartupError};

use crate::wiring;

/// So that some invitations expire while one looks; those of a real product are open for days.
const INVITATION_TTL: Duration = Duration::from_secs(10);
/// So that records settle, and can be found, while one looks.
const RECORD_QUIET: Duration = Duration::from_secs(2);
const RECORD_MAX_WAIT: Duration = Duration::from_secs(6);
const SEARCH_REFRESH: Duration = Duration::from_secs(3);
/// So that some projects use more than is included.
const OVERAGE_REPORT: Duration = Duration::from_secs(3);
const INCLUDED_RECORDS: u64 = 500;
/// The log, in the data directory: the terminal shows something else.
const LOG_FILE: &str = "demo.log";

/// Starts everything on what the settings name.
///
/// # Errors
/// Why it does not start.
pub(crate) async fn start(mut settings: Settings) -> Result<Served, StartupError> {
    settings.reference.invitation_ttl = INVITATION_TTL;
    settings.reference.record_quiet = RECORD_QUIET;
    settings.reference.record_max_wait = RECORD_MAX_WAIT;
    settings.reference.search_refresh = SEARCH_REFRESH;
    settings.reference.overage_report = OVERAGE_REPORT;
    settings.reference.included_records = INCLUDED_RECORDS;
    settings.history.successes = Successes::All;
    log_into(&settings.data_dir.path().join(LOG_FILE), &settings)?;
    let metrics = install_metrics().map_err(|error| StartupError::Application(error.to_string()))?;
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    Box::pin(wiring::application().serve(settings, metrics)).await
}

/// The settings of a directory that is nobody else's: an embedded database and files, whatever else is configured.
///
/// # Errors
/// Never for the defaults; a directory whose name is no text.
pub(crate) fn temporary(directory: &Path) -> Result<Settings, StartupError> {
    let environment = [
        ("AFTERCOMMIT_DATA_DIR".to_owned(), directory.display().to_string()),
        ("HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
    ];
    Ok(Settings::from_sources(environment, None)?)
}

/// Where the log of a demonstration is.
pub(crate) fn log_file(data_dir: &DataDir) -> String {
    data_dir.path().join(LOG_FILE).display().to_string()
}

fn log_into(path: &Path, settings: &Settings) -> Result<(), StartupError> {
    let file = |error: std::io::Error| StartupError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder).map_err(file)?;
    }
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(file)?;
    let options = LogOptions::new(settings.log.filter.clone(), LogFormat::Json);
    init_into(&options, log).map_err(|error| StartupError::Log(error.to_string()))
}
