//! Sets up the metrics of the process.

use crate::error::TelemetryError;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use std::{thread, time::Duration};

/// Bounds of histograms whose name ends with `_seconds`: from half a millisecond to five minutes.
const SECONDS: [f64; 17] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// Bounds of histograms whose name ends with `_bytes`: from 256 bytes to the largest envelope.
const BYTES: [f64; 7] = [256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// Bounds of all other histograms: they count rows, messages or attempts.
const COUNTS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0];

/// How often the observations of histograms are added up when nobody asks for the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of the process.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// All metrics as they are now, in the Prometheus text format.
    pub fn render(&self) -> String {
        self.0.run_upkeep();
        self.0.render()
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

/// `Ok` when everything that the process counts and measures from now on can be rendered.
///
/// A histogram keeps each observation until they are added up, so a small thread does that every 5 s even if nobody
/// ever asks for the metrics. It holds nothing that a stop would have to wait for.
///
/// # Errors
/// The process already has metrics (nothing is changed then), or the thread does not start.
pub fn install_metrics() -> Result<MetricsHandle, TelemetryError> {
    let recorder = build()?;
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::MetricsInstalled)?;
    let upkeep = handle.clone();
    thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                thread::sleep(UPKEEP);
                upkeep.run_upkeep();
            }
        })
        .map_err(TelemetryError::Thread)?;
    Ok(MetricsHandle(handle))
}

fn build() -> Result<PrometheusRecorder, TelemetryError> {
    let ending = |text: &str| Matcher::Suffix(text.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets(&COUNTS)
        .and_then(|builder| builder.set_buckets_for_metric(ending("_seconds"), &SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(ending("_bytes"), &BYTES));
    Ok(builder
        .map_err(|error| TelemetryError::Metrics(error.to_string()))?
        .build_recorder())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_histogram_has_its_own_bounds() {
        let recorder = build().unwrap();
        let handle = MetricsHandle(recorder.handle());
        metrics::with_local_recorder(&recorder, || {
            metrics::histogram!("task_duration_seconds", "topic" => "receipts").record(0.004);
            metrics::histogram!("payload_bytes").record(300.0);
            metrics::histogram!("relay_batch_rows").record(3.0);
            metrics::counter!("tasks_total", "topic" => "a\n\"b").increment(2);
        });
        let text = handle.render();
        assert!(
            text.contains("task_duration_seconds_bucket{topic=\"receipts\",le=\"0.005\"} 1"),
            "{text}"
        );
        assert!(text.contains("payload_bytes_bucket{le=\"1024\"} 1"), "{text}");
        assert!(text.contains("relay_batch_rows_bucket{le=\"5\"} 1"), "{text}");
        assert!(text.contains("tasks_total{topic=\"a\\n\\\"b\"} 2"), "{text}");
    }

    #[test]
    fn bounds_rise() {
        for bounds in [SECONDS.as_slice(), &BYTES, &COUNTS] {
            assert!(bounds.is_sorted_by(|left, right| left < right));
        }
    }
}
