//! What a log line looks like, whatever is logged.

use super::*;
use crate::fields::{CUT, LONGEST_TEXT};
use std::{
    fmt, io,
    sync::{Arc, Mutex},
};
use tracing::{info, info_span, warn};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct FixedTime;

impl FormatTime for FixedTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str("2026-11-23T10:00:00.000000Z")
    }
}

fn logged_as(format: LogFormat, ansi: bool, work: impl FnOnce()) -> String {
    let written = Written::default();
    let writer = written.clone();
    let layer = LineLayer::new(format, ansi, move || writer.clone()).with_time(FixedTime);
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new("info")).with(layer);
    tracing::subscriber::with_default(subscriber, work);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn logged(format: LogFormat, work: impl FnOnce()) -> String {
    logged_as(format, false, work)
}

fn task_completes() {
    let request = info_span!(
        "api.request",
        trace_id = "4bf92f35",
        organization_id = "org-1",
        attempt = 9
    );
    let _request = request.enter();
    let task = info_span!(
        "task.run",
        project_id = "pro-1",
        attempt = 2_u32,
        outcome = tracing::field::Empty
    );
    let _task = task.enter();
    task.record("outcome", "completed");
    info!(
        duration_ms = 12.5,
        redelivered = false,
        note = "two words",
        "task ended"
    );
}

#[test]
fn a_json_line_has_the_fields_of_all_spans_at_the_top() {
    let line = logged(LogFormat::Json, task_completes);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["organization_id"], "org-1");
    assert_eq!(value["project_id"], "pro-1");
    assert_eq!(value["trace_id"], "4bf92f35");
    assert_eq!(value["attempt"], 2, "the inner span wins");
    insta::assert_snapshot!("json_line", line);
}

#[test]
fn a_line_for_people_reads_alone() {
    insta::assert_snapshot!("pretty_line", logged(LogFormat::Pretty, task_completes));
}

#[test]
fn colours_appear_only_when_asked_for() {
    assert!(!logged_as(LogFormat::Pretty, false, task_completes).contains('\u{1b}'));
    assert!(logged_as(LogFormat::Pretty, true, task_completes).contains("\u{1b}[32m"));
    assert!(!logged_as(LogFormat::Json, true, task_completes).contains('\u{1b}'));
}

#[test]
fn control_characters_cannot_break_a_line_or_steer_a_terminal() {
    const HOSTILE: &str = "a\nb\r\u{1b}[2J\0\u{7f}\u{9b}1m\u{2028}\u{202e}\u{2066}é";
    for format in [LogFormat::Json, LogFormat::Pretty] {
        for ansi in [false, true] {
            let lines = logged_as(format, ansi, || {
                let span = info_span!("task.run", subject = HOSTILE);
                let _span = span.enter();
                warn!(plain = HOSTILE, displayed = %HOSTILE, debugged = ?HOSTILE, "{HOSTILE}");
            });
            let body = lines.strip_suffix('\n').unwrap();
            let unsafe_left = body
                .replace("\u{1b}[2m", "")
                .replace("\u{1b}[33m", "")
                .replace("\u{1b}[0m", "");
            let is_hostile = |character: char| character.is_control() || "\u{2028}\u{202e}\u{2066}".contains(character);
            assert!(!unsafe_left.contains(is_hostile), "{unsafe_left:?}");
            assert!(body.contains('é'));
        }
    }
    let json = logged(LogFormat::Json, || info!(plain = HOSTILE, "x"));
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["plain"], HOSTILE, "nothing is lost in JSON");
}

#[test]
fn a_value_cannot_pass_itself_off_as_another_field() {
    let line = logged(LogFormat::Pretty, || {
        info!(name = "a organization_id=other", quoted = "\" x=1", empty = "", "m");
    });
    assert!(line.contains(r#"name="a organization_id=other""#), "{line}");
    assert!(line.contains(r#"quoted="\" x=1""#), "{line}");
    assert!(line.contains(r#"empty="""#), "{line}");
}

#[test]
fn a_field_cannot_replace_a_part_of_the_line() {
    let line = logged(LogFormat::Json, || {
        info!(level = "none", timestamp = 1, target = "me", "m");
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&value["level"], &value["field_level"]),
        (&"INFO".into(), &"none".into())
    );
    assert_eq!(value["field_timestamp"], 1);
}

#[test]
fn a_long_value_is_cut_at_a_character() {
    let line = logged(
        LogFormat::Json,
        || info!(body = "é".repeat(LONGEST_TEXT), debugged = ?vec![7_u8; 1_000_000], "m"),
    );
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    for field in ["body", "debugged"] {
        let text = value[field].as_str().unwrap();
        assert!(text.len() <= LONGEST_TEXT + CUT.len() && text.ends_with(CUT));
    }
}

#[test]
fn an_error_is_logged_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the server cannot be reached")]
    struct Unreachable(#[source] io::Error);
    let line = logged(LogFormat::Json, || {
        let error = Unreachable(io::Error::other("connection\nrefused"));
        let error: &(dyn std::error::Error + 'static) = &error;
        warn!(error, "delivery failed");
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["error"], "the server cannot be reached: connection\nrefused");
}

#[test]
fn numbers_stay_numbers() {
    let line = logged(LogFormat::Json, || {
        info!(
            small = -1,
            big = u64::MAX,
            huge = u128::MAX,
            ratio = 0.5,
            infinite = f64::INFINITY,
            "m"
        );
    });
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&value["small"], &value["ratio"]), (&(-1).into(), &0.5.into()));
    assert_eq!((&value["big"], &value["infinite"]), (&u64::MAX.into(), &"inf".into()));
}

#[test]
fn a_filtered_event_leaves_no_line() {
    assert_eq!(logged(LogFormat::Json, || tracing::debug!("unseen")), "");
}
