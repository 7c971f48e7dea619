//! What holds for the whole process. One test, because there is one log and one set of metrics per process.

use aftercommit_platform_telemetry::{LogFormat, LogOptions, TelemetryError, check_filter, init, install_metrics};

#[test]
fn a_second_set_up_is_an_error_and_the_first_stays() {
    let bad = LogOptions::new("aftercommit=loud", LogFormat::Json);
    assert!(matches!(init(&bad), Err(TelemetryError::Filter(_))));
    assert!(matches!(check_filter("a=b=c"), Err(TelemetryError::Filter(_))));
    assert!(check_filter("info,lapin::returned_messages=error").is_ok());

    let options = LogOptions::new("info", LogFormat::Json);
    assert!(init(&options).is_ok(), "a refused filter leaves the log free");
    assert!(matches!(init(&options), Err(TelemetryError::LogInstalled)));

    let metrics = install_metrics().unwrap();
    assert!(matches!(install_metrics(), Err(TelemetryError::MetricsInstalled)));
    metrics::counter!("seen_total").increment(1);
    assert!(metrics.render().contains("seen_total 1"));
}
