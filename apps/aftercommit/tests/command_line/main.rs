//! The command line as a person or a script meets it: exit status, standard output, standard error.

#![expect(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod dead_letters;
mod orders;
mod place;
mod workflows;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use place::{Place, failure, json, status, text};

const UNKNOWN_ID: &str = "0192f0c1-7a3b-7c4d-8e5f-0123456789ab";

#[test]
fn an_unknown_key_is_refused_in_one_line_with_status_78() {
    let place = Place::new();
    for arguments in [&["config", "check"][..], &["run"], &[], &["tasks", "list"]] {
        let output = place
            .command(arguments)
            .env("AFTERCOMMIT_RELAY__BATCHSIZE", "7")
            .output()
            .unwrap();
        let error = failure(&output, 78);
        assert!(
            error.starts_with("aftercommit: AFTERCOMMIT_RELAY__BATCHSIZE: "),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    assert!(
        !place.data().exists(),
        "nothing is made before the configuration is known to be right"
    );
}

#[test]
fn the_configuration_that_holds_is_printed_without_opening_anything() {
    let place = Place::new();
    let values = json(&place.run(&["config", "check", "--json"]));
    let http = values
        .as_array()
        .unwrap()
        .iter()
        .find(|value| value["key"] == "HTTP_ADDR")
        .unwrap();
    assert_eq!(
        (http["value"].as_str(), http["source"].as_str()),
        (Some("127.0.0.1:0"), Some("environment"))
    );
    assert!(
        json(&place.run(&["config", "reference", "--json"]))
            .as_array()
            .unwrap()
            .len()
            > 10
    );
    assert!(!place.data().exists());
}

#[test]
fn without_a_process_the_file_is_opened() {
    let place = Place::new();
    assert_eq!(
        json(&place.run(&["tasks", "list", "--json"]))["tasks"],
        serde_json::json!([])
    );
    assert_eq!(text(&place.run(&["tasks", "list"]).stdout), "no tasks\n");
    assert_eq!(json(&place.run(&["outbox", "status", "--json"]))["waiting"], 0);
    assert!(
        !place.data().join("run.json").exists(),
        "only a process that serves writes it"
    );
}

#[test]
fn a_second_process_on_the_same_data_directory_is_refused() {
    let place = Place::new();
    let _running = place.start();
    let before = std::fs::read(place.data().join("run.json")).unwrap();
    let output = place.run(&["run"]);
    let error = failure(&output, 1);
    assert!(error.contains("in use by another process"), "{error}");
    assert_eq!(
        std::fs::read(place.data().join("run.json")).unwrap(),
        before,
        "the first one can still be found"
    );
}

#[test]
fn with_a_process_it_is_asked() {
    let place = Place::new();
    let running = place.start();
    assert_eq!(json(&place.run(&["outbox", "status", "--json"]))["waiting"], 0);
    let output = place.run(&["tasks", "show", UNKNOWN_ID]);
    assert_eq!(
        failure(&output, 2),
        format!("aftercommit: no task has the id {UNKNOWN_ID} (not_found)\n")
    );
    running.kill();
}

#[test]
fn a_run_file_left_behind_is_no_obstacle() {
    let place = Place::new();
    place.start().kill();
    assert!(place.data().join("run.json").exists());
    assert_eq!(
        json(&place.run(&["tasks", "list", "--json"]))["tasks"],
        serde_json::json!([])
    );
}

#[test]
fn something_else_at_the_address_of_a_run_file_never_sees_the_token() {
    let place = Place::new();
    place.start().kill();
    let stranger = TcpListener::bind("127.0.0.1:0").unwrap();
    write_run_file(&place.data(), &stranger);
    let served = std::thread::spawn(move || {
        let (mut connection, _) = stranger.accept().unwrap();
        let request = read_head(&connection);
        connection
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}")
            .unwrap();
        request
    });
    assert_eq!(
        json(&place.run(&["tasks", "list", "--json"]))["tasks"],
        serde_json::json!([])
    );
    let request = served.join().unwrap();
    assert!(
        request.starts_with("GET /health ") && !request.contains("canary"),
        "{request}"
    );
}

#[test]
fn a_process_that_holds_the_file_and_does_not_answer_is_named() {
    let place = Place::new();
    let _running = place.start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    write_run_file(&place.data(), &nobody);
    drop(nobody);
    let output = place.run(&["tasks", "list"]);
    let error = failure(&output, 1);
    assert!(
        error.contains("in use by another process") && error.contains("process 7, which run.json names"),
        "{error}"
    );
}

#[test]
fn dead_letters_are_not_touched_without_a_yes_that_was_given() {
    let place = Place::new();
    for act in ["replay", "discard"] {
        let output = place.run(&["dead-letters", act, UNKNOWN_ID]);
        assert!(failure(&output, 2).contains("--yes"));
        assert!(!place.data().exists(), "nothing was opened");
    }
    let output = place.run(&["dead-letters", "discard", "--yes", UNKNOWN_ID]);
    assert_eq!(
        failure(&output, 2),
        format!("aftercommit: no dead letter has the id {UNKNOWN_ID} (not_found)\n")
    );
}

#[test]
fn a_dead_letter_is_listed_shown_replayed_and_discarded_with_its_secrets_sealed() {
    let place = Place::new();
    let payload = format!(
        r#"{{"sign_in_link_id": "{UNKNOWN_ID}", "email": "canary@acme.example",
            "magic_link_url": "http://canary", "expires_at": "9999-01-01T00:00:00Z"}}"#
    );
    let arguments = [
        "tasks",
        "publish",
        "magic-link-email",
        "send",
        "--payload",
        "-",
        "--json",
    ];
    let published = json(&place.run_with_input(&arguments, &payload));
    let id = published["task_id"].as_str().unwrap();
    assert_eq!(json(&place.run(&["tasks", "show", id, "--json"]))["state"], "available");

    // GIVEN that nobody can open its secrets any more, it is given up.
    std::fs::remove_file(place.data().join("sealing.key")).unwrap();
    let _running = place.start();
    let dead = place.wait_for_dead_letter();
    assert_eq!(
        (dead["id"].as_str(), dead["failure"]["code"].as_str()),
        (Some(id), Some("crypto.unknown_key"))
    );
    for arguments in [["dead-letters", "show", id], ["tasks", "show", id]] {
        let output = place.run(&arguments);
        let shown = text(&output.stdout);
        assert!(
            shown.contains("crypto.unknown_key") && !shown.contains("canary"),
            "{shown}"
        );
    }

    // WHEN it is replayed, it dies again; WHEN it is discarded, it is gone.
    assert_eq!(
        text(&place.run(&["dead-letters", "replay", "--yes", id]).stdout),
        format!("replayed {id}\n")
    );
    assert_eq!(place.wait_for_dead_letter()["id"], id);
    let both = place.run(&["dead-letters", "discard", "--yes", "--json", id, id, UNKNOWN_ID]);
    assert_eq!(status(&both), 2);
    assert_eq!(
        serde_json::from_slice::<Value>(&both.stdout).unwrap(),
        serde_json::json!({"ids": [id]})
    );
    assert!(
        text(&both.stderr).ends_with("aftercommit: 1 of 2 failed\n"),
        "{}",
        text(&both.stderr)
    );
    assert_eq!(text(&place.run(&["dead-letters", "list"]).stdout), "no dead letters\n");
}

#[test]
fn wrong_usage_is_status_2_and_opens_nothing() {
    let place = Place::new();
    for arguments in [
        &["tasks", "list", "--nope"][..],
        &["tasks", "show", "7"],
        &["frobnicate"],
        &["tasks"],
    ] {
        let output = place.run(arguments);
        assert!(failure(&output, 2).contains("Usage: aftercommit"), "{arguments:?}");
    }
    let output = place.run_with_input(&["events", "emit", "Anything", "--payload", "-"], "{\"broken\": ");
    assert!(failure(&output, 2).starts_with("aftercommit: --payload: not JSON"));
    assert!(!place.data().exists());
}

#[test]
fn what_the_catalogue_does_not_know_cannot_be_emitted_or_published() {
    let place = Place::new();
    let output = place.run_with_input(&["events", "emit", "NoSuchEvent", "--payload", "-"], "{}");
    assert!(failure(&output, 2).contains("NoSuchEvent"));
    let output = place.run(&["tasks", "publish", "no-such-topic", "send", "--payload", "{}"]);
    assert!(failure(&output, 2).contains("no-such-topic"));
}

#[test]
fn the_first_screen_says_what_to_try_next() {
    let place = Place::new();
    let running = place.start();
    for expected in [
        "address",
        "data directory",
        "/v1/organizations",
        "/v1/invitations",
        " tasks list",
    ] {
        assert!(
            running.screen.contains(expected),
            "{expected} is missing in {}",
            running.screen
        );
    }
    assert!(!running.screen.contains("{address}"), "{}", running.screen);
}

fn write_run_file(data: &Path, listener: &TcpListener) {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let content = serde_json::json!({"url": url, "token": "canary", "pid": 7});
    std::fs::write(data.join("run.json"), content.to_string()).unwrap();
}

fn read_head(connection: &std::net::TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(connection);
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0);
    }
    head
}
