//! Webhooks: real processes, and a receiver that fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use aftercommit_e2e::broker::SEALING_KEYS;
use aftercommit_e2e::{Account, PATIENCE, Product, Setup, eventually};
use aftercommit_testkit::postgres_server::PostgresServer;
use aftercommit_testkit::rabbitmq_server::{RabbitMqOptions, RabbitMqServer};
use aftercommit_testkit::webhook_receiver::{ReceivedWebhook, ReceiverStep, RecordingWebhookReceiver};
use serde_json::{Value, json};

const ALLOW: &str = "AFTERCOMMIT_WEBHOOKS__ALLOW_PRIVATE_ADDRESSES";

/// How many API keys are made and revoked again.
const KEYS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_gets_every_webhook_signed_and_in_order_on_the_embedded_database() {
    deliver(Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_gets_every_webhook_signed_and_in_order_on_postgresql() {
    let database = PostgresServer::shared().await.database(None).await;
    deliver(Setup::default().set("DATABASE_URL", &database.url())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_fails_gets_every_webhook_signed_and_in_order_across_a_broker() {
    let broker = RabbitMqServer::start(RabbitMqOptions::default()).await;
    let database = PostgresServer::shared().await.database(None).await;
    let setup = Setup::default()
        .set("DATABASE_URL", &database.url())
        .set("AMQP_URL", &broker.url())
        .set("AFTERCOMMIT_AMQP__ORDERED_TOPICS", "webhooks")
        .set("AFTERCOMMIT_SEALING__KEYS", SEALING_KEYS);
    deliver(setup).await;
}

async fn deliver(setup: Setup) {
    // GIVEN one receiver that fails, is busy and loses a reply before it takes anything, and one that never fails.
    let failing = RecordingWebhookReceiver::start().await.unwrap();
    let steady = RecordingWebhookReceiver::start().await.unwrap();
    failing.script([
        ReceiverStep::status(500),
        ReceiverStep::retry_after(503, "1"),
        ReceiverStep::AcceptAndDisconnect,
    ]);
    let product = Product::start(setup.set(ALLOW, "true")).await;
    let account = sign_up(&product).await;
    let secret = create(&account, &failing.url("/failing")).await;
    let other_secret = create(&account, &steady.url("/steady")).await;

    // WHEN API keys are made and revoked.
    for _ in 0..KEYS {
        let made = account.api.post("/v1/api-keys", &json!({})).await.expect(201);
        let path = format!("/v1/api-keys/{}", made["api_key_id"].as_str().unwrap());
        account.api.delete(&path).await.expect(200);
    }

    // THEN both get all of it, signed, each key made before it is revoked.
    let told = steady.wait_for(2 * KEYS).await;
    check(&account, &other_secret, &told);
    let told = failing.wait_for(2 * KEYS + 1).await;
    let (lost, told) = told.split_first().unwrap();
    check(&account, &secret, told);
    // What failed was tried again before anything else, under its id.
    let first = told[0].id();
    assert_eq!(lost.id(), first);
    let attempts = failing.requests();
    let ids: Vec<&str> = attempts.iter().map(ReceivedWebhook::id).collect();
    assert_eq!(&ids[..4], [first; 4]);
    assert_eq!(ids.len(), 2 * KEYS + 3);

    let path = format!("/v1/projects/{}/webhooks", account.project_id);
    eventually("the success is recorded", PATIENCE, async || {
        let listed = account.api.get(&path).await.expect(200);
        let webhooks = listed["webhooks"].as_array().unwrap();
        let is_good = |webhook: &Value| webhook["state"] == "active" && webhook["failures"] == 0;
        webhooks.iter().all(is_good).then_some(())
    })
    .await;
    assert_eq!(
        product.cli_json(&["dead-letters", "list"]).await["dead_letters"],
        json!([])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_while_a_receiver_answers_tells_it_again_under_the_same_id() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    receiver.script([ReceiverStep::AcceptAndHang]);
    let mut product = Product::start(Setup::default().set(ALLOW, "true")).await;
    let account = sign_up(&product).await;
    let secret = create(&account, &receiver.url("/hook")).await;
    account.api.post("/v1/api-keys", &json!({})).await.expect(201);
    receiver.wait_for(1).await;
    product.kill9();
    product.start_again().await;
    let told = receiver.wait_for(2).await;
    assert_eq!((told[0].id(), &told[0].body), (told[1].id(), &told[1].body));
    assert!(told.iter().all(|one| one.is_signed_with(&secret)), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_being_told_to_the_product_sends_no_webhook_into_a_private_network() {
    let receiver = RecordingWebhookReceiver::start().await.unwrap();
    let mut product = Product::start(Setup::default().set(ALLOW, "true")).await;
    let account = sign_up(&product).await;
    create(&account, &receiver.url("/hook")).await;
    // It was taken while it was allowed; after the next start it is not any more.
    product.terminate().await;
    product.set_up(Setup::default());
    product.start_again().await;
    let account = account.at(&product.api());
    account.api.post("/v1/api-keys", &json!({})).await.expect(201);
    let letters = eventually("its delivery is given up", PATIENCE, async || {
        let letters = product.cli_json(&["dead-letters", "list"]).await["dead_letters"].take();
        letters.get(0).is_some().then_some(letters)
    })
    .await;
    assert!(letters.to_string().contains("url.forbidden"), "{letters:#}");
    assert_eq!(receiver.connections(), 0);
    let path = format!("/v1/projects/{}/webhooks", account.project_id);
    let body = json!({"url": receiver.url("/"), "events": ["ApiKeyCreated"]});
    let refused = account.api.post(&path, &body).await.problem(422, "input.invalid");
    assert_eq!(refused["errors"][0]["code"], "url.forbidden", "{refused:#}");
}

/// Makes an organization, and waits until what its first API key leads to is over: a webhook made meanwhile might be told.
async fn sign_up(product: &Product) -> Account {
    let account = Account::sign_up(&product.api(), "Acme").await;
    eventually("nobody was told of the beginning", PATIENCE, async || {
        let tasks = product.cli_json(&["tasks", "list", "--topic", "webhooks"]).await["tasks"].take();
        let tasks = tasks.as_array().unwrap().clone();
        let are_over = tasks.len() == 2 && tasks.iter().all(|task| task["state"] == "completed");
        are_over.then_some(())
    })
    .await;
    account
}

/// Makes a webhook that wants to be told of API keys. Answers its secret.
async fn create(account: &Account, url: &str) -> String {
    let path = format!("/v1/projects/{}/webhooks", account.project_id);
    let body = json!({"url": url, "events": ["ApiKeyCreated", "ApiKeyRevoked"]});
    let made = account.api.post(&path, &body).await.expect(201);
    made["secret"].as_str().unwrap().to_owned()
}

fn check(account: &Account, secret: &str, told: &[ReceivedWebhook]) {
    let ids: BTreeSet<&str> = told.iter().map(ReceivedWebhook::id).collect();
    assert_eq!(ids.len(), told.len(), "each once");
    let mut made = BTreeSet::new();
    let mut revoked = BTreeSet::new();
    for one in told {
        assert!(one.is_signed_with(secret), "{one:?}");
        let body = one.json();
        assert_eq!(body["project_id"], account.project_id.as_str(), "{body}");
        let key = body["data"]["api_key_id"].as_str().unwrap().to_owned();
        match body["type"].as_str().unwrap() {
            "ApiKeyCreated" => assert!(made.insert(key), "{body}"),
            "ApiKeyRevoked" => {
                assert!(made.contains(&key), "revoked before it was made: {body}");
                assert!(revoked.insert(key), "{body}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!((made.len(), revoked.len()), (KEYS, KEYS));
}
