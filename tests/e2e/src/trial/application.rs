//! A process of `trial-app`, and what it is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::trial::{BLOCKED, End, Run, TOPIC, Trial, journal, organization_of};
use crate::{Api, Product, Program, Setup, eventually};

/// How often it is looked whether everything has ended.
const LOOK: Duration = Duration::from_millis(100);

/// A process of `trial-app`, one after the other in the same place.
#[derive(Debug)]
pub struct TrialApp {
    /// What every program can be told and asked.
    pub product: Product,
}

impl TrialApp {
    /// Starts one. `program` is `env!("CARGO_BIN_EXE_trial-app")`.
    pub async fn start(program: &'static str, setup: Setup) -> Self {
        let product = Product::start_program(Program::Own(program), setup).await;
        fs::create_dir(product.place().join("switches")).unwrap();
        Self { product }
    }

    /// Commits the event of each of these trials.
    pub async fn order(&self, trials: &[Trial]) {
        assert!(Self::try_to_order(&self.product.api(), trials).await, "not committed");
    }

    /// The same at a process that may be gone; asked again, it changes nothing more. Whether it answered that it is done.
    pub async fn try_to_order(api: &Api, trials: &[Trial]) -> bool {
        let trials = serde_json::to_value(trials).unwrap();
        let answer = api.try_post("/trials", &trials).await;
        answer.is_ok_and(|answer| answer.status == 204)
    }

    /// Ends what a trial waits for.
    pub fn switch(&self, trial: u32) {
        fs::write(self.switch_of(trial), "").unwrap();
    }

    /// Whether a handler keeps its thread now.
    pub fn is_blocked(&self, trial: u32) -> bool {
        self.switch_of(trial).with_extension(BLOCKED).exists()
    }

    fn switch_of(&self, trial: u32) -> PathBuf {
        self.product.place().join("switches").join(trial.to_string())
    }

    /// Every run there was.
    pub fn runs(&self) -> Vec<Run> {
        journal::read(&self.product.place().join("runs.jsonl"))
    }

    /// Waits until that many handlers have begun.
    pub async fn have_begun(&self, handlers: usize, patience: Duration) {
        let what = format!("{handlers} handlers have begun");
        eventually(&what, patience, async || (self.runs().len() >= handlers).then_some(())).await;
    }

    /// What became of each of these trials, once all of them have ended and nothing is left to do.
    ///
    /// # Panics
    /// That is not so within `patience`.
    pub async fn ends(&self, trials: &[Trial], patience: Duration) -> BTreeMap<u32, End> {
        let deadline = Instant::now() + patience;
        loop {
            // First, so that what is looked at afterwards is the end of everything.
            let is_idle = self.is_idle().await;
            let ends = self.look(trials).await;
            let have_ended = |end: &End| matches!(end.state.as_str(), "completed" | "dead");
            if is_idle && ends.len() == trials.len() && ends.values().all(have_ended) {
                return ends;
            }
            assert!(Instant::now() < deadline, "not all ended within {patience:?}: {ends:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What became so far of those whose task is known.
    pub async fn look(&self, trials: &[Trial]) -> BTreeMap<u32, End> {
        let wanted: BTreeSet<u32> = trials.iter().map(|one| one.trial).collect();
        let runs = self.runs().into_iter().filter(|run| wanted.contains(&run.trial));
        let numbers: HashMap<String, u32> = runs.map(|run| (run.task, run.trial)).collect();
        let organizations: BTreeSet<i64> = wanted.iter().map(|trial| organization_of(*trial)).collect();
        let mut ends = BTreeMap::new();
        for organization in organizations {
            let query = format!("organization_id={organization}&limit=1000");
            let effects = self.list("events", &format!("name=TrialTookEffect&{query}")).await;
            let tasks = self.list("tasks", &format!("topic={TOPIC}&{query}")).await;
            for task in tasks {
                let Some(&trial) = numbers.get(task["id"].as_str().unwrap()) else {
                    continue;
                };
                let subject = format!("trial/{trial}");
                let end = End {
                    state: task["state"].as_str().unwrap().to_owned(),
                    attempts: task["attempts"].as_u64().unwrap(),
                    effects: effects
                        .iter()
                        .filter(|answer| answer["event"]["subject"] == subject.as_str())
                        .count(),
                };
                let earlier = ends.insert(trial, end);
                assert!(earlier.is_none(), "trial {trial} has two tasks");
            }
        }
        ends
    }

    /// The dead letters of its topic.
    pub async fn dead_letters(&self) -> Vec<Value> {
        let path = format!("/admin/v1/dead-letters?topic={TOPIC}&limit=1000");
        let answer = self.product.admin().get(&path).await.expect(200);
        answer["dead_letters"].as_array().unwrap().clone()
    }

    async fn list(&self, what: &str, query: &str) -> Vec<Value> {
        let answer = self
            .product
            .admin()
            .get(&format!("/admin/v1/{what}?{query}"))
            .await
            .expect(200);
        answer[what].as_array().unwrap().clone()
    }

    /// Whether nothing waits or runs anywhere.
    async fn is_idle(&self) -> bool {
        let status = self.product.admin().get("/admin/v1/outbox").await.expect(200);
        let mut topics = status["topics"].as_array().unwrap().iter();
        let counts = ["available", "running", "scheduled"];
        status["waiting"] == 0
            && status["claimed"] == 0
            && topics.all(|topic| counts.iter().all(|count| topic[count] == 0))
    }
}
