//! What each loop is doing, so that health tells the truth.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aftercommit_domain::failure::Failure;
use aftercommit_domain::time::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

/// What every loop of this process is doing. Cheap to clone; all clones show the same.
#[derive(Clone)]
pub struct Health {
    clock: Arc<dyn Clock>,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    stopping: bool,
    loops: BTreeMap<String, LoopReport>,
}

/// What a loop is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopReport {
    /// Its name, such as `relay` or `topic invitation-email`.
    pub name: String,
    /// How it fares.
    pub status: LoopStatus,
    /// Since when.
    pub since: Timestamp,
    /// Why it backs off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How often it failed since it last succeeded.
    pub failures: u32,
}

/// How a loop fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopStatus {
    /// Has not done a round yet.
    Starting,
    /// Does its work.
    Running,
    /// Its last round failed; it waits and tries again.
    BackingOff,
    /// It was asked to stop and did.
    Stopped,
}

impl Health {
    /// No loops yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            inner: Arc::default(),
        }
    }

    /// The reporter of a new loop.
    pub fn register(&self, name: impl Into<String>) -> LoopHealth {
        let name = name.into();
        let report = LoopReport {
            name: name.clone(),
            status: LoopStatus::Starting,
            since: self.clock.now(),
            cause: None,
            failures: 0,
        };
        self.lock().loops.insert(name.clone(), report);
        LoopHealth {
            health: self.clone(),
            name,
            settled: AtomicBool::new(false),
        }
    }

    /// From now on this process is not ready.
    pub fn set_stopping(&self) {
        self.lock().stopping = true;
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// What every loop is doing, by name.
    pub fn reports(&self) -> Vec<LoopReport> {
        self.lock().loops.values().cloned().collect()
    }

    /// Why this process is not ready; empty when it is.
    pub fn causes(&self) -> Vec<String> {
        let inner = self.lock();
        let stopping = inner.stopping.then(|| "stopping".to_owned());
        let failing = inner
            .loops
            .values()
            .filter(|report| report.status == LoopStatus::BackingOff)
            .map(|report| format!("{}: {}", report.name, report.cause.as_deref().unwrap_or("backing off")));
        stopping.into_iter().chain(failing).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The guarded data is plain values, whole after any panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A loop's own reporter.
pub struct LoopHealth {
    health: Health,
    name: String,
    /// Whether the loop is known to be running, so that the usual case takes no lock.
    settled: AtomicBool,
}

impl LoopHealth {
    /// It does its work. Called by a round as soon as that is known, which for a round that lasts is long before its end.
    pub fn succeeded(&self) {
        if !self.settled.swap(true, Ordering::Relaxed) {
            self.update(LoopStatus::Running, None, |_| 0);
        }
    }

    /// A round failed. Answers how often in a row.
    pub fn failed(&self, failure: &Failure) -> u32 {
        self.settled.store(false, Ordering::Relaxed);
        self.update(LoopStatus::BackingOff, Some(failure.to_string()), |failures| {
            failures.saturating_add(1)
        })
    }

    /// It stopped as asked.
    pub fn stopped(&self) {
        self.settled.store(false, Ordering::Relaxed);
        self.update(LoopStatus::Stopped, None, |_| 0);
    }

    /// Whether its last round failed and nothing has gone well since.
    pub fn is_failing(&self) -> bool {
        let inner = self.health.lock();
        inner.loops.get(&self.name).is_some_and(|report| report.failures > 0)
    }

    fn update(&self, status: LoopStatus, cause: Option<String>, failures: impl FnOnce(u32) -> u32) -> u32 {
        let now = self.health.clock.now();
        let mut inner = self.health.lock();
        let Some(report) = inner.loops.get_mut(&self.name) else {
            return 0;
        };
        if report.status != status {
            report.since = now;
        }
        report.status = status;
        report.cause = cause;
        report.failures = failures(report.failures);
        report.failures
    }
}
