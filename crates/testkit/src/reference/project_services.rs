//! The services of projects, which keep what is open and fail as they are told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::contract::Tenant;
use aftercommit_domain::effects::IdempotencyKey;
use aftercommit_domain::reference::projects::{ProjectService, ProjectServiceError, ProjectServices};
use async_trait::async_trait;

/// Keeps which services are open and in which order they were asked for, and fails as it is told: each opening takes the next
/// [`ServiceStep`]; without one it succeeds.
#[derive(Debug, Default)]
pub struct RecordingProjectServices {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<ServiceStep>,
    open: BTreeSet<(String, ProjectService)>,
    calls: Vec<ServiceCall>,
}

/// What one opening meets.
#[derive(Debug, Clone)]
pub enum ServiceStep {
    /// It is opened.
    Accept,
    /// It is refused with this error.
    Reject(ProjectServiceError),
    /// It is opened, and whoever asked gets this error.
    AcceptThenFail(ProjectServiceError),
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceCall {
    /// To open this.
    Open(ProjectService),
    /// To close this.
    Close(ProjectService),
}

impl RecordingProjectServices {
    /// Adds what the next openings meet, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = ServiceStep>) {
        self.lock().script.extend(steps);
    }

    /// What is open for the project.
    pub fn open_for(&self, project: &Tenant) -> Vec<ProjectService> {
        let project = project.to_string();
        let state = self.lock();
        let open = state.open.iter().filter(|(owner, _)| *owner == project);
        open.map(|(_, service)| *service).collect()
    }

    /// What was asked for, in order, repetitions included.
    pub fn calls(&self) -> Vec<ServiceCall> {
        self.lock().calls.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ProjectServices for RecordingProjectServices {
    async fn open(
        &self,
        project: &Tenant,
        service: ProjectService,
        _: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError> {
        let mut state = self.lock();
        state.calls.push(ServiceCall::Open(service));
        let step = state.script.pop_front().unwrap_or(ServiceStep::Accept);
        if let ServiceStep::Reject(error) = step {
            return Err(error);
        }
        state.open.insert((project.to_string(), service));
        match step {
            ServiceStep::Accept | ServiceStep::Reject(_) => Ok(()),
            ServiceStep::AcceptThenFail(error) => Err(error),
        }
    }

    async fn close(
        &self,
        project: &Tenant,
        service: ProjectService,
        _: &IdempotencyKey,
    ) -> Result<(), ProjectServiceError> {
        let mut state = self.lock();
        state.calls.push(ServiceCall::Close(service));
        state.open.remove(&(project.to_string(), service));
        Ok(())
    }
}
