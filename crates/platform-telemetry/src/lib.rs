//! Structured logs on standard error, and metrics in the Prometheus text format.
//!
//! A log line reads alone: it carries the fields of its event and of all spans around it, the tenant and the trace
//! among them. (A span that the filter leaves out leaves its fields out too: spans that carry the tenant should have the
//! level error, which every filter lets through.) What comes from outside cannot break a line or steer a terminal.

mod error;
mod escape;
mod fields;
mod layer;
mod line;
mod logs;
mod metrics_handle;

pub use error::TelemetryError;
pub use logs::{LogFormat, LogOptions, check_filter, init, init_into};
pub use metrics_handle::{MetricsHandle, install_metrics};
