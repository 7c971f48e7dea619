//! `aftercommit demo`: traffic against a product that runs, that does not, and that is killed in the middle of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use aftercommit_e2e::{PATIENCE, Product, Setup, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn summary(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn ledger(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // The last line may be on its way.
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

#[tokio::test]
async fn a_demonstration_follows_everything_to_its_end() {
    let product = Product::start(Setup::default()).await;
    let output = product
        .cli(&["demo", "--for", "3s", "--rate", "30", "--seed", "7", "--json"])
        .await;
    let told = summary(&output);
    assert!(output.status.success() && told["good"] == true, "{told:#}");
    let count = |pointer: &str| {
        told.pointer(pointer)
            .and_then(Value::as_u64)
            .unwrap_or_else(|| panic!("{pointer}: {told:#}"))
    };
    assert!(
        count("/requests/taken") > 30 && count("/requests/refused") > 0 && count("/requests/repeated") > 0,
        "{told:#}"
    );
    assert!(
        count("/events/committed") == count("/events/relayed") && count("/tasks/completed") > 20,
        "{told:#}"
    );
    assert_eq!(
        usize::try_from(count("/emails/arrived")).unwrap(),
        product.mail_files().len()
    );
    assert!(told["latency_ms"]["p99"].is_number(), "{told:#}");
}

#[tokio::test]
async fn without_a_running_product_a_demonstration_brings_its_own_and_says_so() {
    let product = Product::start(Setup::default()).await;
    let output = product
        .cli(&["demo", "--temporary", "--for", "1s", "--patience", "1m"])
        .await;
    let (text, said) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    assert!(output.status.success(), "{text}{said}");
    assert!(
        said.contains("everything was started in this process") && said.contains("removed at the end"),
        "{said}"
    );
    assert!(
        text.contains("Nothing lost, nothing doubled, nothing stuck") && text.contains("Try next"),
        "{text}"
    );
    assert_eq!(product.mail_files().len(), 0, "the running product was left alone");
}

#[tokio::test]
async fn a_product_that_is_killed_again_and_again_loses_and_doubles_nothing_and_the_ledger_knows_every_answer() {
    let mut product = Product::start(Setup::default()).await;
    let path = product.data().parent().unwrap().join("ledger.jsonl");
    let arguments = [
        "demo",
        "--for",
        "10m",
        "--rate",
        "40",
        "--json",
        "--ledger",
        path.to_str().unwrap(),
    ];
    let demo = product.cli_command(&arguments).spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(demo.id().unwrap()).unwrap()).unwrap();
    let mut lines = 0;
    for _ in 0..3 {
        eventually("requests are answered", PATIENCE, async || {
            (ledger(&path).len() > lines + 60).then_some(())
        })
        .await;
        product.kill9();
        let tried = ledger(&path).len();
        eventually("requests get no answer", PATIENCE, async || {
            let later = ledger(&path);
            later[tried.min(later.len())..]
                .iter()
                .any(|line| line["outcome"] == "unknown")
                .then_some(())
        })
        .await;
        product.start_again().await;
        lines = ledger(&path).len();
    }
    eventually("requests are answered", PATIENCE, async || {
        (ledger(&path).len() > lines + 60).then_some(())
    })
    .await;
    // A signal ends the requests; what they led to is followed to its end all the same.
    kill_process(pid, Signal::INT).unwrap();
    let output = tokio::time::timeout(PATIENCE * 3, demo.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let told = summary(&output);
    assert!(output.status.success() && told["good"] == true, "{told:#}");
    assert!(
        told["ended_early"].is_string() && told["requests"]["tries_without_an_answer"].as_u64() > Some(0),
        "{told:#}"
    );

    let (mut intended, mut answers) = (BTreeMap::new(), BTreeMap::new());
    for line in ledger(&path) {
        let number = line["number"].as_u64();
        match line["kind"].as_str().unwrap() {
            "intent" => *intended.entry(number).or_insert(0_u64) += 1,
            "answer" => {
                assert!(
                    intended.contains_key(&number),
                    "answered before it was intended: {line}"
                );
                answers.insert(number, line["outcome"].clone());
            }
            "run" | "end" => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(intended.keys().collect::<Vec<_>>(), answers.keys().collect::<Vec<_>>());
    assert!(
        answers.values().all(|outcome| outcome == "ok" || outcome == "refused"),
        "{answers:?}"
    );
    assert_eq!(
        intended.values().sum::<u64>(),
        told["requests"]["made"].as_u64().unwrap()
    );
}

#[tokio::test]
async fn what_never_ends_is_stuck_and_the_exit_status_says_so() {
    // Nobody relays.
    let product = Product::start(Setup::default().set("AFTERCOMMIT_WORKER__ROLES", "maintenance")).await;
    let output = product
        .cli(&["demo", "--for", "1s", "--patience", "2s", "--json"])
        .await;
    let told = summary(&output);
    assert_eq!(output.status.code(), Some(1), "{told:#}");
    assert!(
        told["good"] == false && told["stuck"]["count"].as_u64() > Some(0),
        "{told:#}"
    );
}

#[tokio::test]
async fn a_ledger_that_is_there_already_is_not_touched() {
    let product = Product::start(Setup::default()).await;
    let path = product.data().join("ledger.jsonl");
    fs::write(&path, "mine").unwrap();
    let output = product
        .cli(&["demo", "--for", "1s", "--ledger", path.to_str().unwrap()])
        .await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}
