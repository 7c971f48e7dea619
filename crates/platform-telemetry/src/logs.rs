//! Sets up the log of the process.

use crate::{error::TelemetryError, layer::LineLayer};
use std::{fs::File, io::IsTerminal as _, sync::Arc};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Levels by target, such as `info,aftercommit_runtime=debug`.
    pub filter: String,
    /// How lines are written.
    pub format: LogFormat,
    /// Whether the lines for people are coloured.
    pub ansi: bool,
}

/// How log lines are written. Each line is one event in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line, its fields at the top level.
    Json,
}

impl LogOptions {
    /// The lines for people are coloured if standard error is a terminal.
    pub fn new(filter: impl Into<String>, format: LogFormat) -> Self {
        Self {
            filter: filter.into(),
            format,
            ansi: std::io::stderr().is_terminal(),
        }
    }
}

/// `Ok` when everything that the process logs from now on goes to standard error.
///
/// # Errors
/// The filter cannot be read, or the process already has a log; nothing is changed then.
pub fn init(options: &LogOptions) -> Result<(), TelemetryError> {
    let layer = LineLayer::new(options.format, options.ansi, std::io::stderr);
    tracing_subscriber::registry()
        .with(parse_filter(&options.filter)?)
        .with(layer)
        .try_init()
        .map_err(|_| TelemetryError::LogInstalled)
}

/// The same into a file, for a program whose terminal shows something else.
///
/// # Errors
/// As [`init`].
pub fn init_into(options: &LogOptions, file: File) -> Result<(), TelemetryError> {
    let layer = LineLayer::new(options.format, false, Arc::new(file));
    tracing_subscriber::registry()
        .with(parse_filter(&options.filter)?)
        .with(layer)
        .try_init()
        .map_err(|_| TelemetryError::LogInstalled)
}

/// `Ok` when [`init`] would accept the filter.
///
/// # Errors
/// It is not a list of levels by target.
pub fn check_filter(filter: &str) -> Result<(), TelemetryError> {
    parse_filter(filter).map(drop)
}

fn parse_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    // Patterns over field values cost time on every span and nobody needs them here.
    EnvFilter::builder()
        .with_regex(false)
        .parse(filter)
        .map_err(TelemetryError::Filter)
}
