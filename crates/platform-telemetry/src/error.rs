//! Why logs or metrics could not be set up.

use tracing_subscriber::filter::ParseError;

/// Why logs or metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter is not a list of levels by target. This is an error of the configuration.
    #[error("the log filter is not a list such as info,aftercommit_runtime=debug")]
    Filter(#[source] ParseError),
    /// This process already has a log. The first one stays.
    #[error("the log of this process is already set up")]
    LogInstalled,
    /// This process already has metrics. The first ones stay.
    #[error("the metrics of this process are already set up")]
    MetricsInstalled,
    /// The buckets of a histogram were refused.
    #[error("the metrics cannot be set up: {0}")]
    Metrics(String),
    /// The thread that keeps metrics small did not start.
    #[error("the thread of the metrics does not start")]
    Thread(#[source] std::io::Error),
}
