//! What goes through `Sealed` is in clear in an e-mail and nowhere else.
//!
//! Canaries are the addresses of people who are unknown until they follow their link, and the links: both go through
//! `Sealed` only. So do, in this product, the addresses of owners and of those who are invited, which its tables keep
//! sealed as well. The name of the organization is in clear by design; that it is found shows that the search works.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use aftercommit_e2e::{Account, Canary, Database, PATIENCE, Product, RefusingPort, Setup, Sighting, Token, eventually};
use aftercommit_testkit::smtp_server::{RecordingSmtpServer, SmtpAnswer, SmtpStage};
use serde_json::json;

const IN_CLEAR: &str = "Quetzal-4711";
const UNKNOWN: &str = "kingfisher.8231@sealed.example";
const INVITED: &str = "nightjar.5507@sealed.example";
const OWNER: &str = "owner@quetzal-4711-sealed.example";

fn canaries(texts: &[String]) -> Vec<Canary> {
    let tokens = Token::all_in(&texts.join("\n"));
    assert!(!tokens.is_empty());
    let mut canaries: Vec<Canary> = tokens.iter().map(Canary::token).collect();
    canaries.extend([UNKNOWN, INVITED].map(Canary::address));
    // This one's part before the `@` is a common word, so its domain is looked for.
    canaries.push(Canary::new(OWNER, [&b"quetzal-4711-sealed"[..]]));
    canaries
}

/// Everything of the process that may be read: its files, its logs, and its answers to operators.
async fn look(product: &Product, canaries: &[Canary]) -> Vec<Sighting> {
    let mut seen = at_rest(product, canaries);
    let admin = product.admin();
    for kind in ["events", "tasks", "dead-letters"] {
        let list = admin.get(&format!("/admin/v1/{kind}?limit=1000")).await;
        seen.extend(
            canaries
                .iter()
                .flat_map(|canary| canary.look_at(kind, list.body.as_bytes())),
        );
        let list = list.expect(200);
        for one in list.as_object().unwrap().values().next().unwrap().as_array().unwrap() {
            let id = one["id"].as_str().or_else(|| one["event"]["id"].as_str()).unwrap();
            let path = format!("/admin/v1/{kind}/{id}");
            let shown = admin.get(&path).await;
            seen.extend(
                canaries
                    .iter()
                    .flat_map(|canary| canary.look_at(&path, shown.body.as_bytes())),
            );
        }
    }
    for arguments in [
        &["tasks", "list"][..],
        &["events", "list"],
        &["dead-letters", "list"],
        &["outbox", "status"],
    ] {
        let output = product.cli(arguments).await;
        seen.extend(
            canaries
                .iter()
                .flat_map(|canary| canary.look_at(&arguments.join(" "), &output.stdout)),
        );
    }
    for path in ["/metrics", "/ready", "/health"] {
        let answer = product.api().get(path).await;
        seen.extend(
            canaries
                .iter()
                .flat_map(|canary| canary.look_at(path, answer.body.as_bytes())),
        );
    }
    seen
}

/// The data directory but `mail/`, and all logs.
fn at_rest(product: &Product, canaries: &[Canary]) -> Vec<Sighting> {
    let mut seen = Canary::look_into(canaries, &product.data(), "mail");
    seen.extend(Canary::look_into(canaries, &product.logs(), "."));
    seen
}

/// That the search does find what is there: in the journal or the file, and in the mail.
fn assert_search_works(product: &Product) {
    let found = Canary::look_into(&[Canary::new(IN_CLEAR, [IN_CLEAR.as_bytes()])], &product.data(), "mail");
    assert!(
        found
            .iter()
            .any(|sighting| sighting.place.starts_with("aftercommit.db")),
        "{found:?}"
    );
}

async fn sign_up(product: &Product) -> Account {
    let body = json!({"name": IN_CLEAR, "owner_email": OWNER});
    let request = product
        .api()
        .request("POST", "/v1/organizations")
        .header("idempotency-key", "once")
        .json(&body);
    let made = product.api().send(request).await.expect(201);
    let text = |field: &str| made[field].as_str().unwrap().to_owned();
    Account {
        organization_id: text("organization_id"),
        project_id: text("project_id"),
        key: text("api_key"),
        api: product.api().with_key(&text("api_key")),
    }
}

async fn ask_for_link(product: &Product, email: &str) {
    product
        .api()
        .post("/v1/magic-links", &json!({"email": email}))
        .await
        .expect(202);
}

#[tokio::test]
async fn nothing_sealed_is_ever_in_clear_outside_mail() {
    let mut product = Product::start(Setup::default()).await;
    let account = sign_up(&product).await;
    account.invite(INVITED).await;
    ask_for_link(&product, UNKNOWN).await;
    let emails = eventually("two e-mails", PATIENCE, async || {
        Some(product.mail_files()).filter(|files| files.len() == 2)
    })
    .await;
    // A file's lines are broken; put together again, its text holds the link.
    let texts: Vec<String> = emails.iter().map(|email| email.replace("=\r\n", "")).collect();
    let mut canaries = canaries(&texts);
    // The API key is a secret as well: its answer is kept for its Idempotency-Key, sealed.
    canaries.push(Canary::token(&Token::new(account.key.rsplit('_').next().unwrap())));

    assert_eq!(look(&product, &canaries).await, [], "while it runs");
    assert_search_works(&product);
    product.kill9();
    assert_eq!(at_rest(&product, &canaries), [], "after a kill");
    product.start_again().await;
    product.terminate().await;
    assert_eq!(at_rest(&product, &canaries), [], "after an orderly stop");
    let in_mail = Canary::look_into(&canaries, &product.data().join("mail"), ".");
    assert!(
        in_mail.len() >= 2,
        "the search finds them where they belong: {in_mail:?}"
    );
    println!("{} secrets, {} places where they belong", canaries.len(), in_mail.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_sealed_is_in_clear_after_a_server_repeated_it_in_its_refusals() {
    let server = RecordingSmtpServer::start().await.unwrap();
    // Servers like to repeat the address they refuse, at any point of the conversation.
    let refusal = |code| SmtpAnswer::reply(code, "5.1.1 <{to}> unknown\nask for {to}");
    server.script(SmtpStage::Recipient, [refusal(451), refusal(550), refusal(451)]);
    server.script(
        SmtpStage::Message,
        [refusal(451), SmtpAnswer::AcceptAndDisconnect, refusal(554)],
    );
    let product = Product::start(Setup::smtp(server.address()).impatient()).await;
    let account = sign_up(&product).await;
    for _ in 0..3 {
        account.invite(INVITED).await;
        ask_for_link(&product, UNKNOWN).await;
    }
    eventually("every task has ended", PATIENCE, async || {
        let tasks = product.cli_json(&["tasks", "list", "--limit", "1000"]).await;
        let mut emails = tasks["tasks"].as_array()?.iter().filter(|task| task["task"] == "send");
        (emails.clone().count() == 6 && emails.all(|task| task["finished_at"].is_string())).then_some(())
    })
    .await;
    let dead = product.cli_json(&["dead-letters", "list"]).await;
    let dead = dead["dead_letters"].as_array().unwrap();
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(
        dead.iter().all(|letter| letter["failure"]["code"] == "smtp.refused"),
        "{dead:?}"
    );
    assert!(product.log().contains("smtp"), "the failures were logged");

    let texts: Vec<String> = server
        .received()
        .iter()
        .filter_map(aftercommit_testkit::smtp_server::ReceivedEmail::text)
        .collect();
    let canaries = canaries(&texts);
    assert_eq!(look(&product, &canaries).await, []);
    assert_search_works(&product);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_key_a_sealed_task_is_dead_with_a_crypto_code() {
    let port = RefusingPort::open();
    let mut product = Product::start(Setup::smtp(port.address()).impatient()).await;
    sign_up(&product).await;
    ask_for_link(&product, UNKNOWN).await;
    eventually("a failed attempt", PATIENCE, async || {
        let answer = product
            .cli_json(&["tasks", "list", "--topic", "magic-link-email", "--state", "retryable"])
            .await;
        (!answer["tasks"].as_array()?.is_empty()).then_some(())
    })
    .await;
    product.terminate().await;
    let key = product.data().join("sealing.key");
    let lost = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    product.start_again().await;
    assert_ne!(fs::read(&key).unwrap(), lost, "the process has made another key");
    assert_private(&key);

    let letter = eventually("a dead letter", PATIENCE, async || {
        let answer = product
            .cli_json(&["dead-letters", "list", "--topic", "magic-link-email"])
            .await;
        answer["dead_letters"].as_array()?.first().cloned()
    })
    .await;
    let code = letter["failure"]["code"].as_str().unwrap();
    assert!(code.starts_with("crypto."), "{letter}");
    println!("{code}: {}", letter["failure"]["message"]);

    // With the key back, a replay sends it.
    product.terminate().await;
    fs::write(&key, lost).unwrap();
    let server = RecordingSmtpServer::start_on(port.address()).await.unwrap();
    product.start_again().await;
    let replayed = product
        .cli(&["dead-letters", "replay", "--yes", letter["id"].as_str().unwrap()])
        .await;
    assert!(replayed.status.success(), "{replayed:?}");
    assert_eq!(server.wait_for(1).await.first().unwrap().to, [UNKNOWN]);
    product.terminate().await;
    let mut database = Database::open(&product.data()).await;
    assert_eq!(database.integrity().await, "ok");
}

#[cfg(unix)]
fn assert_private(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[cfg(not(unix))]
fn assert_private(_: &Path) {}
