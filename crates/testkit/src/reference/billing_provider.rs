//! A billing provider that keeps what it was told and fails as it is told.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aftercommit_domain::effects::IdempotencyKey;
use aftercommit_domain::reference::billing::{BillingError, BillingProvider, MeteredUsage};
use async_trait::async_trait;

/// Takes down each report, as often as it is told, and fails as it is told: each report takes the next [`ReportStep`]; without
/// one it is accepted.
#[derive(Debug, Default)]
pub struct RecordingBillingProvider {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<ReportStep>,
    reported: Vec<(MeteredUsage, IdempotencyKey)>,
}

/// What one report meets.
#[derive(Debug, Clone)]
pub enum ReportStep {
    /// It is taken down.
    Accept,
    /// It is refused with this error.
    Reject(BillingError),
    /// It is taken down, and whoever reports hears that the provider is unavailable.
    AcceptThenLoseReply,
}

impl RecordingBillingProvider {
    /// Adds what the next reports meet, one step each.
    pub fn script(&self, steps: impl IntoIterator<Item = ReportStep>) {
        self.lock().script.extend(steps);
    }

    /// What was taken down, in order, repetitions included.
    pub fn reported(&self) -> Vec<(MeteredUsage, IdempotencyKey)> {
        self.lock().reported.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl BillingProvider for RecordingBillingProvider {
    async fn report(&self, usage: &MeteredUsage, key: &IdempotencyKey) -> Result<(), BillingError> {
        let mut state = self.lock();
        let step = state.script.pop_front().unwrap_or(ReportStep::Accept);
        if let ReportStep::Reject(error) = step {
            return Err(error);
        }
        state.reported.push((usage.clone(), key.clone()));
        match step {
            ReportStep::Accept | ReportStep::Reject(_) => Ok(()),
            ReportStep::AcceptThenLoseReply => Err(BillingError::Unavailable {
                reason: "the reply was lost".into(),
            }),
        }
    }
}
