//! `aftercommit workflows` where no engine runs them: what is refused, and how scripts tell it.

use crate::place::{Place, failure};

const ID: &str = "7/8/collect-payment/9";
const ADDRESS: (&str, &str) = ("TEMPORAL_ADDRESS", "127.0.0.1:1");

#[test]
fn without_an_engine_what_needs_one_fails_with_its_code_and_the_way_to_get_one() {
    let place = Place::new();
    let _running = place.start();
    for arguments in [
        &["workflows", "list"][..],
        &["workflows", "describe", ID, "--json"],
        &["workflows", "query", ID, "progress"],
        &["workflows", "signal", ID, "paid"],
        &["workflows", "cancel", ID, "--reason", "a test"],
        &["workflows", "terminate", ID, "--reason", "a test", "--yes"],
    ] {
        let output = place.run(arguments);
        let problem = failure(&output, 1);
        assert!(
            problem.contains("temporal server start-dev") && problem.ends_with("(workflow.no_engine)\n"),
            "{arguments:?}: {problem}"
        );
    }
}

#[test]
fn what_is_typed_wrong_or_of_another_tenant_is_wrong_usage() {
    let place = Place::new();
    let unknown = place.run(&["workflows", "start", "no-such-workflow", "9", "--payload", "{}"]);
    let problem = failure(&unknown, 2);
    assert!(problem.contains("(workflow.unknown)"), "{problem}");
    let other = place.run(&["workflows", "describe", ID, "--organization", "9"]);
    let problem = failure(&other, 2);
    assert!(problem.contains("(tenant.mismatch)"), "{problem}");
    for arguments in [
        &["workflows", "describe", "7/8"][..],
        &["workflows", "terminate", ID, "--reason", "a test"],
        &["workflows", "cancel", ID],
    ] {
        failure(&place.run(arguments), 2);
    }
}

#[test]
fn a_program_that_was_built_without_temporal_refuses_to_run_with_its_address_but_not_to_look() {
    let place = Place::new();
    let with_address = |arguments: &[&str]| place.command(arguments).env(ADDRESS.0, ADDRESS.1).output().unwrap();
    let refused = with_address(&["run"]);
    let problem = failure(&refused, 78);
    assert!(
        // A build for tests says first that it is one.
        problem.contains("aftercommit: TEMPORAL_ADDRESS: Temporal is not compiled into this program"),
        "{problem}"
    );
    assert!(with_address(&["tasks", "list"]).status.success());
    let doctor = with_address(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(told.contains("FAIL  workflows"), "{told}");
}
