//! Carries bulk runs out: one bounded step after another, for whoever drives them.

mod events;

use std::sync::Arc;
use std::time::Duration;

use aftercommit_domain::bulk::{
    BegunBulkRun, BulkRequest, BulkRun, BulkRuns, BulkRunsError, BulkState, MOST_AT_ONCE, Pace, Rate, TakenBulkRun,
    WaitsFor, fates_looked_at, next_after, pace,
};
use aftercommit_domain::contract::EnvelopeFactory;
use aftercommit_domain::events::{EventLog, EventLogError, Routes};
use aftercommit_domain::failure::{Classified, ErrorClass};
use aftercommit_domain::ids::MessageId;
use aftercommit_domain::tasks::{
    DeadLetterAct, DeadLetterBatch, DeadLetterFilter, DeadLetterOperations, DeadLettersError, PublishError,
    QueuePublisher,
};

pub use events::{EventPreview, RouteNotKnown};

/// How long a step may take before somebody else may do it.
const LEASE: Duration = Duration::from_secs(30);
/// How soon to ask again while somebody else does a step.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Carries bulk runs out. It keeps nothing: the store knows how far a run is, so that anybody may go on with it.
#[derive(Clone)]
pub struct BulkRunner {
    ports: Arc<BulkPorts>,
}

/// What bulk runs work over.
pub struct BulkPorts {
    /// Where runs are kept.
    pub runs: Arc<dyn BulkRuns>,
    /// The dead letters.
    pub dead_letters: Arc<dyn DeadLetterOperations>,
    /// The events.
    pub event_log: Arc<dyn EventLog>,
    /// What follows from them.
    pub routes: Arc<Routes>,
    /// Makes and seals the envelopes of what follows.
    pub envelopes: EnvelopeFactory,
    /// Where tasks go.
    pub queue: Arc<dyn QueuePublisher>,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkStep {
    /// The run after it.
    pub run: BulkRun,
    /// When to ask for the next one, when it is not over.
    pub wait: Duration,
    /// What it waits for.
    pub waits_for: Option<WaitsFor>,
}

impl BulkRunner {
    /// A runner over these ports.
    pub fn new(ports: BulkPorts) -> Self {
        Self { ports: Arc::new(ports) }
    }

    /// Begins what is ordered, or goes on with it when it had begun; see [`BulkRuns::begin`].
    ///
    /// # Errors
    /// The store; an id of another order; a route that does not exist.
    pub async fn begin(
        &self,
        id: Option<MessageId>,
        request: BulkRequest,
        actor: String,
        rate: Rate,
    ) -> Result<BegunBulkRun, BulkError> {
        if let BulkRequest::ReplayEvents { selection } = &request {
            self.check_route(selection)?;
        }
        let id = id.unwrap_or_else(|| self.ports.envelopes.new_id());
        let mut run = BulkRun::new(id, request, actor, rate, self.ports.envelopes.now());
        run.matched = match &run.request {
            BulkRequest::ReplayDeadLetters { filter } | BulkRequest::DiscardDeadLetters { filter } => {
                Some(self.ports.dead_letters.count(filter).await?)
            }
            BulkRequest::ReplayEvents { .. } => None,
        };
        let begun = self.ports.runs.begin(run).await?;
        if !begun.goes_on {
            tracing::info!(bulk_run = %begun.run.id, actor = %begun.run.actor, order = %begun.run.request.key(), "a bulk run begins");
        }
        Ok(begun)
    }

    /// Does the next step of a run, if one is due. `Ok(None)` when there is no such run.
    ///
    /// # Errors
    /// A store or the queue is away; the next step goes on from where this one began.
    pub async fn step(&self, id: MessageId) -> Result<Option<BulkStep>, BulkError> {
        let Some(taken) = self.ports.runs.take(id, LEASE).await? else {
            let run = self.ports.runs.find(id).await?;
            return Ok(run.map(|run| BulkStep {
                run,
                wait: ASK_AGAIN,
                waits_for: None,
            }));
        };
        let mut run = taken.run.clone();
        let done = self.carry_out(&mut run, &taken).await;
        let (wait, waits_for) = match &done {
            Ok((wait, waits_for)) => (*wait, *waits_for),
            Err(_) => (ASK_AGAIN, None),
        };
        failpoint!(BULK_AFTER_STEP);
        // Also after an error, so that nobody waits for the lease.
        let put_back = self
            .ports
            .runs
            .put_back(TakenBulkRun {
                run: run.clone(),
                ..taken
            })
            .await;
        done?;
        put_back?;
        if !run.is_going() {
            tracing::info!(bulk_run = %run.id, state = run.state.as_str(), done = run.done, reason = run.reason, "a bulk run is over");
        }
        Ok(Some(BulkStep { run, wait, waits_for }))
    }

    /// Does what is due. Answers when to ask again, and what for.
    async fn carry_out(
        &self,
        run: &mut BulkRun,
        taken: &TakenBulkRun,
    ) -> Result<(Duration, Option<WaitsFor>), BulkError> {
        let fates = match &run.request {
            BulkRequest::ReplayDeadLetters { .. } => self.ports.dead_letters.fates(run.id, fates_looked_at()).await?,
            BulkRequest::DiscardDeadLetters { .. } | BulkRequest::ReplayEvents { .. } => Vec::new(),
        };
        let most = match pace(run, taken.now, &fates) {
            Pace::Go(most) => most.min(MOST_AT_ONCE),
            Pace::Wait { at_least, waits_for } => return Ok((at_least, Some(waits_for))),
            Pace::Stop { failed, of } => {
                run.state = BulkState::Stopped;
                run.reason = Some(format!("{failed} of the last {of} that ran failed again"));
                return Ok((Duration::ZERO, None));
            }
        };
        let (done, is_over) = match run.request.clone() {
            BulkRequest::ReplayDeadLetters { filter } => self.act(run, DeadLetterAct::Replay, filter, most).await?,
            BulkRequest::DiscardDeadLetters { filter } => self.act(run, DeadLetterAct::Discard, filter, most).await?,
            BulkRequest::ReplayEvents { selection } => self.replay_events(run, &selection, most).await?,
        };
        run.done = run.done.saturating_add(u64::from(done));
        run.next_at = next_after(run, taken.now, done);
        if is_over {
            run.state = BulkState::Done;
        }
        let wait = (run.next_at - taken.now).to_std().unwrap_or_default();
        Ok((wait, (!is_over).then_some(WaitsFor::Rate)))
    }

    /// Acts on up to `most` letters that died before the run began. Answers how many, and whether no other is left.
    async fn act(
        &self,
        run: &BulkRun,
        act: DeadLetterAct,
        filter: DeadLetterFilter,
        most: u32,
    ) -> Result<(u32, bool), BulkError> {
        let until = filter.until.map_or(run.begun_at, |until| until.min(run.begun_at));
        let batch = DeadLetterBatch {
            bulk_run: run.id,
            act,
            filter: DeadLetterFilter {
                until: Some(until),
                ..filter
            },
            actor: run.actor.clone(),
            limit: most,
        };
        let acted = self.ports.dead_letters.act_on_oldest(&batch).await?;
        let number = u32::try_from(acted.len()).unwrap_or(most);
        Ok((number, number < most))
    }
}

/// A bulk run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The store of the runs.
    #[error(transparent)]
    Runs(#[from] BulkRunsError),
    /// The dead letters.
    #[error(transparent)]
    DeadLetters(#[from] DeadLettersError),
    /// The event log.
    #[error(transparent)]
    EventLog(#[from] EventLogError),
    /// The queue.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// What is asked for does not exist here.
    #[error(transparent)]
    Route(#[from] RouteNotKnown),
}

impl Classified for BulkError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Runs(error) => error.class(),
            Self::DeadLetters(error) => error.class(),
            Self::EventLog(error) => error.class(),
            Self::Publish(error) => error.class(),
            Self::Route(_) => ErrorClass::Permanent,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Runs(error) => error.code(),
            Self::DeadLetters(error) => error.code(),
            Self::EventLog(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Route(_) => "route.unknown",
        }
    }
}
