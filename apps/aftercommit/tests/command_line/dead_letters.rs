//! Dead letters and replays on the command line.

use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::UNKNOWN_ID;
use crate::place::{Place, Running, failure, json as answer, status, text};

/// A place with `number` dead letters, and the process in which they died: nobody can open their secrets any more.
fn with_letters(number: usize) -> (Place, Running) {
    let place = Place::new();
    let payload = json!({
        "sign_in_link_id": UNKNOWN_ID, "email": "canary@acme.example", "magic_link_url": "http://canary",
        "expires_at": "9999-01-01T00:00:00Z",
    });
    for _ in 0..number {
        let payload = payload.to_string();
        answer(&place.run(&[
            "tasks",
            "publish",
            "magic-link-email",
            "send",
            "--payload",
            &payload,
            "--json",
        ]));
    }
    std::fs::remove_file(place.data().join("sealing.key")).unwrap();
    let running = place.start();
    until(&place, number);
    (place, running)
}

/// Waits until there are so many letters.
fn until(place: &Place, number: usize) {
    let started = Instant::now();
    while letters(place).len() != number {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "not {number} letters within a minute"
        );
    }
}

fn letters(place: &Place) -> Vec<Value> {
    let list = answer(&place.run(&["dead-letters", "list", "--limit", "1000", "--json"]));
    list["dead_letters"].as_array().unwrap().clone()
}

/// The text with ids and times left out, which differ each time.
fn alike(output: &Output) -> String {
    assert_eq!(status(output), 0, "{}", text(&output.stderr));
    let words = text(&output.stdout).split_inclusive(|c: char| c.is_whitespace() || c == '"');
    let words = words.map(|word| {
        let inner = word.trim_end_matches(|c: char| c.is_whitespace() || c == '"' || c == ',');
        let rest = &word[inner.len()..];
        let is_time = inner.len() > 20 && inner.ends_with('Z') && inner.contains('T');
        if inner.len() == 36 && inner.matches('-').count() == 4 {
            format!("{}{rest}", "i".repeat(36))
        } else if is_time {
            format!("{}{rest}", "t".repeat(inner.len()))
        } else if inner.ends_with("/aftercommit") {
            format!("aftercommit{rest}")
        } else if inner.starts_with("`k") && inner.len() == 19 {
            format!("`key`{rest}")
        } else if inner.starts_with("00-") && inner.len() == 55 {
            format!("trace{rest}")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

#[test]
fn what_is_printed_of_letters_and_of_what_was_done_to_them() {
    let (place, _running) = with_letters(2);
    let id = letters(&place)[0]["id"].as_str().unwrap().to_owned();
    insta::assert_snapshot!("list", alike(&place.run(&["dead-letters", "list"])));
    insta::assert_snapshot!("groups", alike(&place.run(&["dead-letters", "list", "--group"])));
    let replayed = place.run(&["dead-letters", "replay", "--code", "crypto.unknown_key", "--yes"]);
    insta::assert_snapshot!("replayed", alike(&replayed));
    until(&place, 2);
    let shown = place.run(&["dead-letters", "show", &id]);
    insta::assert_snapshot!("shown", alike(&shown));
    assert!(!text(&shown.stdout).contains("canary"));
    insta::assert_snapshot!("actions", alike(&place.run(&["dead-letters", "actions"])));
    let actions = answer(&place.run(&["dead-letters", "actions", "--json"]));
    assert_eq!(actions["actions"].as_array().unwrap().len(), 2);
    assert_eq!(actions["bulk_runs"][0]["done"], 2);
    let of_one = answer(&place.run(&["dead-letters", "actions", "--letter", &id, "--json"]));
    assert_eq!(of_one["actions"].as_array().unwrap().len(), 1);
    let groups = answer(&place.run(&["dead-letters", "list", "--group", "--json"]));
    assert_eq!(
        (&groups["letters"], &groups["groups"][0]["letters"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn a_replay_of_letters_that_die_again_stops_by_itself_with_status_1_and_a_discard_by_filter_removes_them() {
    let (place, _running) = with_letters(60);
    let output = place.run(&[
        "dead-letters",
        "replay",
        "--topic",
        "magic-link-email",
        "--rate",
        "50/s",
        "--yes",
    ]);
    assert_eq!(status(&output), 1);
    let error = text(&output.stderr);
    assert!(
        error.contains("stopped: 20 of the last 20 that ran failed again; find out why before you begin again"),
        "{error}"
    );
    until(&place, 60);
    let fingerprint = letters(&place)[0]["fingerprint"].as_str().unwrap().to_owned();
    let of_another = [
        "dead-letters",
        "discard",
        "--fingerprint",
        "crypto.other:00000000",
        "--yes",
    ];
    assert_eq!(text(&place.run(&of_another).stdout), "no dead letters fit\n");
    let output = place.run(&[
        "dead-letters",
        "discard",
        "--fingerprint",
        &fingerprint,
        "--yes",
        "--json",
    ]);
    let run = answer(&output);
    assert_eq!((&run["done"], &run["state"]), (&json!(60), &json!("done")));
    assert_eq!(letters(&place).len(), 0);
    // It is over: asked for again by its id, it does nothing more.
    let id = run["id"].as_str().unwrap();
    let again = answer(&place.run(&["dead-letters", "discard", "--run", id, "--yes", "--json"]));
    assert_eq!(again["done"], 60);
    let other = place.run(&["dead-letters", "replay", "--run", id, "--yes"]);
    assert!(failure(&other, 2).contains("does something else"));
}

#[test]
fn a_correction_is_checked_by_the_contract_and_refused_with_the_reason() {
    let (place, _running) = with_letters(1);
    let id = letters(&place)[0]["id"].as_str().unwrap().to_owned();
    let correct = |payload: &str| place.run(&["dead-letters", "replay", &id, "--payload", payload, "--yes"]);
    let error = correct("{}");
    assert_eq!(
        failure(&error, 2),
        "aftercommit: the payload of magic-link-email/send is malformed: missing field `sign_in_link_id` at line 1 column 2 (payload.malformed)\n"
    );
    assert!(failure(&correct("{"), 2).starts_with("aftercommit: --payload: not JSON"));
    let two = place.run(&["dead-letters", "replay", &id, UNKNOWN_ID, "--payload", "{}", "--yes"]);
    assert!(failure(&two, 2).contains("give one id"));
    assert_eq!(letters(&place).len(), 1);
    let payload = json!({
        "sign_in_link_id": UNKNOWN_ID, "email": "canary@acme.example", "magic_link_url": "http://canary",
        "expires_at": "9999-01-01T00:00:00Z",
    });
    let done = correct(&payload.to_string());
    assert_eq!(
        text(&done.stdout),
        format!("corrected and replayed {id}\n"),
        "{}",
        text(&done.stderr)
    );
    let shown = answer(&place.run(&["dead-letters", "actions", "--letter", &id, "--json"]));
    let action = &shown["actions"][0];
    assert_eq!(action["action"], "correct");
    assert!(action["replaced"]["payload"]["email"]["sealed"].is_string(), "{action}");
}

#[test]
fn events_are_replayed_by_name_and_by_id_and_a_dry_run_publishes_nothing() {
    let place = Place::new();
    let _running = place.start();
    let payload = json!({ "organization_id": UNKNOWN_ID, "project_id": UNKNOWN_ID });
    let emit = [
        "events",
        "emit",
        "ProjectCreated",
        "--payload",
        &payload.to_string(),
        "--json",
    ];
    let event = answer(&place.run(&emit))["event_id"].as_str().unwrap().to_owned();
    let started = Instant::now();
    while status(&place.run(&["events", "show", &event])) != 0 {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "not published within a minute"
        );
    }
    let replay = |more: &[&str]| place.run(&[&["events", "replay"], more].concat());
    let dry = replay(&["--name", "ProjectCreated", "--since", "1h", "--dry-run"]);
    insta::assert_snapshot!("dry_run", alike(&dry));
    let tasks = || answer(&place.run(&["tasks", "list", "--topic", "projects", "--json"]))["tasks"].clone();
    let before = tasks().as_array().unwrap().len();
    let by_id = [
        "--id",
        &event,
        "--route",
        "projects/provision",
        "--replay-id",
        UNKNOWN_ID,
        "--yes",
    ];
    for _ in 0..2 {
        let run = answer(&replay(&[&by_id[..], &["--json"]].concat()));
        assert_eq!(
            (&run["state"], &run["tasks"], &run["id"]),
            (&json!("done"), &json!(1), &json!(UNKNOWN_ID))
        );
    }
    assert_eq!(tasks().as_array().unwrap().len(), before + 1, "once for a replay id");
    let gone = replay(&["--name", "ProjectCreated", "--route", "projects/burn", "--yes"]);
    assert_eq!(
        failure(&gone, 2),
        "aftercommit: ProjectCreated does not lead to projects/burn; it leads to projects/provision (route.unknown)\n"
    );
    let other = replay(&["--name", "ProjectCreated", "--replay-id", UNKNOWN_ID, "--yes"]);
    assert!(failure(&other, 2).contains("(bulk_run.other_request)"));
}

/// What is wrong is told before anything is opened, with the usage of the command that was meant.
#[test]
fn bad_ids_rates_times_and_combinations_are_status_2_and_open_nothing() {
    let place = Place::new();
    let upper = UNKNOWN_ID.to_uppercase();
    let braces = format!("{{{UNKNOWN_ID}}}");
    let nil = "00000000-0000-0000-0000-000000000000";
    let not_an_id = "an id is a lower-case UUID such as 0192f0c1-7a3b-7c4d-8e5f-0123456789ab";
    for id in [
        upper.as_str(),
        &braces,
        nil,
        "7",
        "",
        "0192f0c17a3b7c4d8e5f0123456789ab",
        "../run.json",
    ] {
        for command in [
            &["dead-letters", "show"][..],
            &["dead-letters", "replay", "--yes"],
            &["dead-letters", "discard", "--yes"],
            &["dead-letters", "discard", "--yes", "--run"],
            &["dead-letters", "actions", "--letter"],
            &["tasks", "show"],
            &["events", "show"],
            &["events", "replay", "--yes", "--id"],
            &["events", "replay", "--yes", "--replay-id"],
        ] {
            let output = place.run(&[command, &[id]].concat());
            let error = failure(&output, 2);
            assert!(error.contains(not_an_id) || id.is_empty(), "{command:?} {id}: {error}");
            assert!(error.contains("Usage: aftercommit"), "{command:?} {id}: {error}");
        }
    }
    let table: [(&[&str], &str); 13] = [
        (
            &["dead-letters", "replay", "--all", "--rate", "fast"],
            "such as 10/s, 300/m or 50/h",
        ),
        (
            &["dead-letters", "replay", "--all", "--rate", "0/s"],
            "such as 10/s, 300/m or 50/h",
        ),
        (&["dead-letters", "replay", UNKNOWN_ID, "--all"], "cannot be used with"),
        (
            &["dead-letters", "replay", UNKNOWN_ID, "--topic", "x"],
            "cannot be used with",
        ),
        (
            &["dead-letters", "replay", "--all", "--payload", "{}"],
            "it corrects one letter; give one id",
        ),
        (
            &["dead-letters", "replay", "--yes"],
            "give ids, a filter such as --topic, or --all",
        ),
        (
            &["dead-letters", "discard", "--yes"],
            "give ids, a filter such as --topic, or --all",
        ),
        (
            &["dead-letters", "list", "--since", "yesterday"],
            "expected a time such as",
        ),
        (&["dead-letters", "replay", "--all"], "add --yes to do it"),
        (&["dead-letters", "discard", "--topic", "x"], "add --yes to do it"),
        (&["events", "replay", "--name", "InvoicePaid"], "add --yes to do it"),
        (&["events", "replay", "--yes"], "--name"),
        (
            &["events", "replay", "--name", "InvoicePaid", "--route", "receipts"],
            "a topic and a task, such as receipts/send",
        ),
    ];
    for (arguments, expected) in table {
        let output = place.run(arguments);
        let error = failure(&output, 2);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(!place.data().exists(), "nothing was opened");
}
