//! Cancelling, pausing, and why a task does not run, on the command line.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::UNKNOWN_ID;
use crate::place::{Place, failure, json as answer, text};

/// Publishes a task that is skipped as soon as it runs. Answers its id.
fn publish(place: &Place, more: &[&str]) -> String {
    let payload = json!({ "organization_id": "acme", "invitation_id": UNKNOWN_ID }).to_string();
    let mut arguments = vec![
        "tasks",
        "publish",
        "invitation-email",
        "send",
        "--payload",
        &payload,
        "--json",
    ];
    arguments.extend(more);
    let published = answer(&place.run(&arguments));
    published["task_id"].as_str().unwrap().to_owned()
}

fn explained(place: &Place, id: &str) -> String {
    text(&place.run(&["tasks", "show", id, "--explain"]).stdout).to_owned()
}

fn shown(place: &Place, id: &str) -> Value {
    answer(&place.run(&["tasks", "show", id, "--json"]))
}

fn until_state(place: &Place, id: &str, state: &str) {
    let started = Instant::now();
    while shown(place, id)["state"] != state {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{id} is not {state} within a minute"
        );
    }
}

#[test]
fn a_paused_topic_runs_nothing_says_why_and_goes_on_when_it_is_resumed() {
    let place = Place::new();
    // Before anything runs, so that nothing depends on how soon a process hears of it.
    let paused = place.run(&["topics", "pause", "invitation-email", "--reason", "no mail"]);
    assert!(text(&paused.stdout).starts_with("topic:invitation-email is paused until `"));
    let id = publish(&place, &[]);
    let running = place.start();
    let why = explained(&place, &id);
    assert!(
        why.starts_with("It waits because topic:invitation-email was paused by ")
            && why.ends_with(", until somebody resumes it: no mail.\n"),
        "{why}"
    );
    let pauses = answer(&place.run(&["pauses", "--json"]));
    assert_eq!(pauses["pauses"][0]["target"], "topic:invitation-email");
    assert_eq!(pauses["pauses"][0]["reason"], "no mail");
    assert_eq!(shown(&place, &id)["state"], "available");
    let resumed = place.run(&["resume", "topic:invitation-email"]);
    assert!(text(&resumed.stdout).starts_with("topic:invitation-email goes on"));
    until_state(&place, &id, "skipped");
    assert!(explained(&place, &id).starts_with("It ended without doing anything: "));
    let again = place.run(&["topics", "resume", "invitation-email"]);
    assert_eq!(text(&again.stdout), "topic:invitation-email was not paused\n");
    assert_eq!(text(&place.run(&["pauses"]).stdout), "nothing is paused\n");
    running.kill();
}

#[test]
fn a_paused_organizations_tasks_are_set_aside_and_go_on_when_it_is_resumed() {
    let place = Place::new();
    place.run(&[
        "pause",
        "organization:acme",
        "--reason",
        "they asked for it",
        "--for",
        "1h",
    ]);
    let running = place.start();
    let id = publish(&place, &[]);
    until_state(&place, &id, "paused");
    let why = explained(&place, &id);
    assert!(
        why.starts_with("It waits because organization:acme was paused by ") && why.ends_with(": they asked for it.\n"),
        "{why}"
    );
    place.run(&["resume", "organization:acme"]);
    until_state(&place, &id, "skipped");
    running.kill();
}

#[test]
fn a_task_that_waits_is_cancelled_with_its_reason_and_one_that_is_over_is_named() {
    let place = Place::new();
    let id = publish(&place, &["--delay", "1h"]);
    assert!(explained(&place, &id).starts_with("It waits for its time, "));
    let cancelled = place.run(&["tasks", "cancel", &id, "--reason", "not wanted"]);
    assert_eq!(text(&cancelled.stdout), format!("{id} is cancelled\n"));
    assert!(explained(&place, &id).starts_with("It was cancelled: not wanted (by "));
    let again = place.run(&["tasks", "cancel", &id, "--reason", "not wanted"]);
    assert_eq!(text(&again.stdout), format!("{id} is over already: cancelled\n"));
    let unknown = place.run(&["tasks", "cancel", UNKNOWN_ID, "--reason", "not wanted"]);
    assert_eq!(
        failure(&unknown, 2),
        format!("aftercommit: no task has the id {UNKNOWN_ID} (not_found)\n")
    );
}

#[test]
fn an_order_without_a_reason_or_with_an_end_that_has_passed_is_refused() {
    let place = Place::new();
    for (arguments, code) in [
        (&["pause", "topic:a", "--reason", " "][..], "reason.invalid"),
        (&["pause", "topic:a", "--reason", "a\nb"], "reason.invalid"),
        (&["tasks", "cancel", UNKNOWN_ID, "--reason", ""], "reason.invalid"),
        (
            &["pause", "topic:a", "--reason", "x", "--until", "2020-01-01T00:00:00Z"],
            "pause.is_over",
        ),
    ] {
        let output = place.run(arguments);
        let error = text(&output.stderr);
        assert!(error.contains(code), "{arguments:?}: {error}");
        assert!(!output.status.success());
    }
    assert_eq!(text(&place.run(&["pauses"]).stdout), "nothing is paused\n");
}
