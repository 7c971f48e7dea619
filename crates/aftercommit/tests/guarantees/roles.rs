//! Which loops a process runs, and who decides that.

use aftercommit::StartupError;
use aftercommit::runtime::Roles;

use crate::application::application;
use crate::place::{Place, settings_of};

const ROLES: &str = "AFTERCOMMIT_WORKER__ROLES";
const TOPICS: &str = "AFTERCOMMIT_WORKER__TOPICS";

#[tokio::test]
async fn a_process_runs_the_loops_of_its_roles_and_of_its_topics_and_no_others() {
    for (roles, topics, expected) in [
        ("relay", "all", &["relay"][..]),
        ("dispatcher", "all", &["orders", "topic domain-events"]),
        ("maintenance,relay", "all", &["relay", "rescuer"]),
        ("scheduler", "all", &["scheduler"]),
        ("topics", "all", &["orders", "topic measured", "topic receipts"]),
        ("topics", "receipts", &["orders", "topic receipts"]),
        (
            "all",
            "measured",
            &[
                "orders",
                "relay",
                "rescuer",
                "scheduler",
                "topic domain-events",
                "topic measured",
            ],
        ),
    ] {
        let opened = Place::new().open_with(&[(ROLES, roles), (TOPICS, topics)]).await;
        let running = opened.start();
        assert_eq!(running.api.loops().await, expected, "{roles} {topics}");
        running.stop().await;
    }
}

#[tokio::test]
async fn roles_given_in_code_win_over_the_configuration() {
    let place = Place::new();
    let settings = settings_of(&place.data(), &[(ROLES, "relay"), (TOPICS, "all")]);
    let (application, ..) = application();
    let opened = application.roles(Roles::none()).open(settings).await.unwrap();
    let running = opened.start();
    assert!(running.kit().health().reports().is_empty());
    running.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_to_be_run_and_not_declared_ends_the_start_but_no_command_of_operators() {
    let place = Place::new();
    let settings = || settings_of(&place.data(), &[(TOPICS, "receipts,reciepts")]);
    let (running, ..) = application();
    let Err(error) = running.open(settings()).await else {
        panic!("it opened");
    };
    assert!(matches!(&error, StartupError::Declaration(_)), "{error:?}");
    assert_eq!(
        (error.to_string().as_str(), error.exit_code()),
        ("topic reciepts is to be run here but is not declared", 78)
    );
    let (operated, ..) = application();
    operated.open_for_operators(settings()).await.unwrap().close().await;
}
