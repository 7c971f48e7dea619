//! One trace from a request to its last effect: in every envelope and every line of the log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::{Account, PATIENCE, Product, Setup, eventually};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use serde_json::{Value, json};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const REQUEST: &str = "the-request-of-this-test";

#[tokio::test]
async fn everything_a_request_leads_to_is_part_of_its_trace_on_the_embedded_database() {
    follow(Setup::default()).await;
}

#[tokio::test]
async fn everything_a_request_leads_to_is_part_of_its_trace_across_a_broker() {
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let database = PostgresServer::shared().await.database(None).await;
    let setup = Setup::default()
        .set("DATABASE_URL", &database.url())
        .set("AMQP_URL", &broker.url())
        .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS);
    follow(setup).await;
}

async fn follow(setup: Setup) {
    let setup = setup
        .set("AFTERCOMMIT_LOG__FORMAT", "json")
        .set("AFTERCOMMIT_LOG__FILTER", "info,aftercommit_runtime=debug")
        // So that there is an event of a task, too.
        .set("AFTERCOMMIT_REFERENCE__INVITATION_TTL", "1s");
    let product = Product::start(setup).await;
    let account = Account::sign_up(&product.api(), "Acme").await;
    let request = account
        .api
        .request("POST", "/v1/invitations")
        .header("x-request-id", REQUEST)
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .json(&json!({"email": "ada@acme.example", "role": "member"}));
    account.api.send(request).await.expect(202);
    let tree = eventually("all is over", PATIENCE, async || {
        let tree = product
            .admin()
            .get(&format!("/admin/v1/trees/{REQUEST}"))
            .await
            .expect(200);
        (tree["is_over"] == true).then_some(tree)
    })
    .await;
    let mut traces = BTreeSet::new();
    let events = traces_of(&tree["roots"], &mut traces);
    assert_eq!(
        events,
        BTreeSet::from(["InvitationCreated", "InvitationEmailRequested", "InvitationExpired"]),
        "{tree:#}"
    );
    assert_eq!(traces, BTreeSet::from([TRACE]), "{tree:#}");

    let log = product.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_request: Vec<&Value> = lines.iter().filter(|line| line["correlation_id"] == REQUEST).collect();
    let mut seen = BTreeSet::new();
    for line in &of_request {
        assert_eq!(line["trace_id"], TRACE, "{line}");
        assert_eq!(line["organization_id"], account.organization_id.as_str(), "{line}");
        seen.insert((
            line["message"].as_str().unwrap(),
            line["topic"].as_str().unwrap_or_default(),
        ));
    }
    let expected = [
        ("request answered", ""),
        ("task completed", "domain-events"),
        ("task completed", "invitation-email"),
        ("task completed", "invitations"),
    ];
    assert!(seen.is_superset(&BTreeSet::from(expected)), "{seen:?}");
    assert!(
        lines.iter().filter(|line| line["trace_id"] == TRACE).count() == of_request.len()
            && !log.contains("messaging."),
        "what has the trace has the request"
    );
}

/// The names of the events among these nodes and all they led to.
fn traces_of<'a>(nodes: &'a Value, traces: &mut BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let mut events = BTreeSet::new();
    for node in nodes.as_array().into_iter().flatten() {
        if node["kind"] == "event" {
            traces.insert(node["trace_id"].as_str().unwrap_or("none"));
            events.insert(node["name"].as_str().unwrap());
        }
        events.extend(traces_of(&node["consequences"], traces));
    }
    events
}
