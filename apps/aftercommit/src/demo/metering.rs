//! Whether the usage of each project is what was taken: its handler adds, so that a batch whose effect came twice, or never,
//! shows here.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::demo::call::{Body, Call, Outcome, What};
use crate::demo::tally::Findings;
use crate::demo::target::Target;

/// Between two tries to ask a process that does not answer.
const WAIT: Duration = Duration::from_millis(200);

/// What was taken, by project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metering {
    projects: BTreeMap<String, Taken>,
}

/// What the usage of all projects is, compared with what was taken.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metered {
    pub(crate) batches: u64,
    pub(crate) records: u64,
    /// Projects with less than was taken.
    pub(crate) missing: Findings,
    /// Projects with more than was taken.
    pub(crate) beyond: Findings,
    /// Projects whose usage nobody answered.
    pub(crate) unanswered: Findings,
}

#[derive(Debug, Clone)]
struct Taken {
    api_key: String,
    batches: u64,
    records: u64,
}

impl Metering {
    /// A batch was taken.
    pub(crate) fn took(&mut self, call: &Call) {
        let (What::Ingest, Some(Body::Json(body)), Some(api_key)) = (call.what, &call.body, &call.bearer) else {
            return;
        };
        let taken = self.projects.entry(call.about.clone()).or_insert_with(|| Taken {
            api_key: api_key.clone(),
            batches: 0,
            records: 0,
        });
        taken.batches += 1;
        taken.records += distinct_keys(body);
    }

    /// Asks for the usage of every project, `patience` long at most, or until `enough`.
    pub(crate) async fn check(&self, target: &Target, patience: Duration, enough: &CancellationToken) -> Metered {
        let until = Instant::now() + patience;
        let mut metered = Metered::default();
        for (project, taken) in &self.projects {
            let path = format!("/v1/projects/{project}/usage");
            let asking = async {
                loop {
                    match target.get(&path, &taken.api_key).await {
                        Outcome::Unknown { .. } => sleep(WAIT).await,
                        answer => break answer,
                    }
                }
            };
            let answer = timeout_at(until, enough.run_until_cancelled(asking)).await;
            let unanswered = || Outcome::Unknown {
                reason: "no answer in time".into(),
            };
            metered.judge(project, taken, answer.ok().flatten().unwrap_or_else(unanswered));
        }
        metered
    }
}

impl Metered {
    fn judge(&mut self, project: &str, taken: &Taken, answer: Outcome) {
        let body = match answer {
            Outcome::Taken { body, .. } => body,
            Outcome::Refused { status, code } => return self.unanswered.add(format!("{project}: {status} {code}")),
            Outcome::Unknown { reason } => return self.unanswered.add(format!("{project}: {reason}")),
        };
        let (batches, records) = (sum(&body, "batches"), sum(&body, "records"));
        self.batches += batches;
        self.records += records;
        let words = || {
            format!(
                "{project}: {batches} batches with {records} records metered, {} with {} taken",
                taken.batches, taken.records
            )
        };
        if batches > taken.batches || records > taken.records {
            self.beyond.add(words());
        } else if batches < taken.batches || records < taken.records {
            self.missing.add(words());
        }
    }

    /// Whether every project's usage is what was taken.
    pub(crate) const fn is_good(&self) -> bool {
        self.missing.count == 0 && self.beyond.count == 0 && self.unanswered.count == 0
    }
}

/// A key that comes twice in a batch is one record, and one without a key is none.
fn distinct_keys(body: &Value) -> u64 {
    let records = body.get("records").and_then(Value::as_array).into_iter().flatten();
    let keys = records.filter_map(|record| record.get("key")?.as_str());
    let keys: std::collections::BTreeSet<&str> = keys.filter(|key| !key.is_empty()).collect();
    u64::try_from(keys.len()).unwrap_or(u64::MAX)
}

/// Over all months.
fn sum(body: &Value, field: &str) -> u64 {
    let periods = body.get("periods").and_then(Value::as_array).into_iter().flatten();
    periods.filter_map(|period| period.get(field)?.as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(batches: u64, records: u64) -> Metered {
        let taken = Taken {
            api_key: "key".into(),
            batches: 3,
            records: 9,
        };
        let half = json!({"month": "2026-11", "batches": batches - 1, "records": records - 4});
        let body = json!({"periods": [half, {"month": "2026-10", "batches": 1, "records": 4}]});
        let mut metered = Metered::default();
        metered.judge("p", &taken, Outcome::Taken { status: 200, body });
        metered
    }

    #[test]
    fn what_was_counted_twice_or_never_is_found() {
        assert!(judged(3, 9).is_good());
        assert_eq!(judged(4, 12).beyond.count, 1);
        assert_eq!(judged(3, 10).beyond.count, 1);
        assert_eq!(judged(2, 6).missing.count, 1);
        let mut metered = judged(3, 9);
        let unknown = Outcome::Unknown { reason: "away".into() };
        let taken = Taken {
            api_key: String::new(),
            batches: 1,
            records: 1,
        };
        metered.judge("q", &taken, unknown);
        assert!(!metered.is_good() && metered.unanswered.count == 1);
    }

    #[test]
    fn a_key_that_comes_twice_is_one_record_and_one_without_a_key_is_none() {
        let body = json!({"records": [{"key": "a"}, {"key": "b"}, {"key": "a"}, {"key": ""}]});
        assert_eq!(distinct_keys(&body), 2);
    }
}
